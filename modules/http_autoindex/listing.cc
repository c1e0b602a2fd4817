// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_autoindex/listing.h"

#include <time.h>

#include <algorithm>

#include "core/base/clock.h"
#include "core/base/escape.h"
#include "core/base/format.h"
#include "core/base/text.h"

namespace fairlead::http_autoindex {

using Kind = FolderEntry::Kind;

static constexpr size_t name_width = 50;  // of a name in HTML, in characters
static constexpr std::string_view months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void sort_entries(std::span<FolderEntry> entries) {
  std::sort(entries.begin(), entries.end(), [](const FolderEntry& a, const FolderEntry& b) {
    bool a_folder = a.kind == Kind::folder, b_folder = b.kind == Kind::folder;
    return a_folder != b_folder ? a_folder : a.name < b.name;
  });
}

static bool is_utf8_tail(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Characters, and the bytes of the first `most` of them.
struct Measure {
  size_t characters;
  size_t bytes;
};
static Measure measure(std::string_view name, size_t most, bool utf8) {
  if (!utf8) return {name.size(), std::min(most, name.size())};
  Measure all{0, name.size()};
  for (size_t i = 0; i < name.size(); ++i) {
    if (is_utf8_tail(name[i])) continue;
    if (all.characters == most) all.bytes = std::min(all.bytes, i);
    ++all.characters;
  }
  return all;
}

// Cut or filled to `name_width`.
static void append_name(std::string& to, const FolderEntry& entry, bool utf8) {
  Measure whole = measure(entry.name, name_width, utf8);
  if (whole.characters > name_width) {
    size_t bytes = measure(entry.name, name_width - 3, utf8).bytes;
    escape_append(Escape::html, to, std::string_view(entry.name).substr(0, bytes));
    to += "..&gt;</a>";
    return;
  }
  escape_append(Escape::html, to, entry.name);
  size_t width = whole.characters;
  if (entry.kind == Kind::folder && width < name_width) {
    to += '/';
    ++width;
  }
  to += "</a>";
  to.append(name_width - width, ' ');
}

static void append_rounded(std::string& to, uint64_t size) {
  constexpr uint64_t kilo = 1024, mega = kilo * kilo, giga = kilo * mega;
  auto in_units = [&](uint64_t unit, char letter) {
    uint64_t rounded = size / unit + (size % unit > unit / 2 - 1 ? 1 : 0);
    to += format("{:6}{}", rounded, letter);
  };
  if (size > giga - 1) in_units(giga, 'G');
  else if (size > mega - 1) in_units(mega, 'M');
  else if (size > 9999) in_units(kilo, 'K');
  else to += format(" {:6}", size);
}

static void append_html_entry(std::string& to, const FolderEntry& entry, const HtmlStyle& style) {
  bool folder = entry.kind == Kind::folder;
  to += "<a href=\"";
  escape_append(Escape::uri_component, to, entry.name);
  to += folder ? "/\">" : "\">";
  append_name(to, entry, style.utf8);
  tm when = {};
  time_t seconds = entry.modified_s;
  if (style.local_time) localtime_r(&seconds, &when);
  else gmtime_r(&seconds, &when);
  to += format(" {:02}-{}-{} {:02}:{:02} ", when.tm_mday, months[when.tm_mon], when.tm_year + 1900, when.tm_hour, when.tm_min);
  if (folder) to.append(style.exact_size ? 18 : 6, ' ').append("-");
  else if (style.exact_size) to += format("{:19}", entry.size);
  else append_rounded(to, entry.size);
  to += "\r\n";
}

std::string html_listing(std::string_view uri, std::span<const FolderEntry> entries, const HtmlStyle& style) {
  std::string title;
  escape_append(Escape::html, title, uri);
  std::string text = format("<html>\r\n<head><title>Index of {0}</title></head>\r\n<body>\r\n<h1>Index of {0}</h1>"
                            "<hr><pre><a href=\"../\">../</a>\r\n", title);
  for (const FolderEntry& entry : entries) append_html_entry(text, entry, style);
  return text + "</pre><hr></body>\r\n</html>\r\n";
}

static std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::file: return "file";
    case Kind::folder: return "directory";
    case Kind::other: return "other";
  }
  return "other";
}

std::string xml_listing(std::span<const FolderEntry> entries) {
  std::string text = "<?xml version=\"1.0\"?>\r\n<list>\r\n";
  for (const FolderEntry& entry : entries) {
    tm when = {};
    time_t seconds = entry.modified_s;
    gmtime_r(&seconds, &when);
    text += format("<{} mtime=\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z\"", kind_name(entry.kind), when.tm_year + 1900, when.tm_mon + 1,
                   when.tm_mday, when.tm_hour, when.tm_min, when.tm_sec);
    if (entry.kind == Kind::file) text += format(" size=\"{}\"", entry.size);
    text += '>';
    escape_append(Escape::html, text, entry.name);
    text += format("</{}>\r\n", kind_name(entry.kind));
  }
  return text + "</list>\r\n";
}

std::string json_listing(std::span<const FolderEntry> entries, std::string_view callback) {
  std::string text = callback.empty() ? "[" : format("/* callback */\r\n{}([", callback);
  std::string_view between = "\r\n";
  for (const FolderEntry& entry : entries) {
    text.append(between).append("{ \"name\":\"");
    escape_append(Escape::json, text, entry.name);
    char date[http_date_size];
    format_http_date(entry.modified_s, date);
    text += format("\", \"type\":\"{}\", \"mtime\":\"{}\"", kind_name(entry.kind), std::string_view(date, http_date_size));
    if (entry.kind == Kind::file) text += format(", \"size\":{}", entry.size);
    text += " }";
    between = ",\r\n";
  }
  text += "\r\n]";
  if (!callback.empty()) text += ");";
  return text;
}

bool is_callback(std::string_view text) {
  constexpr size_t bytes_max = 128;
  return text.size() <= bytes_max && std::all_of(text.begin(), text.end(), [](char c) {
           return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || c == '.';
         });
}

}  // namespace fairlead::http_autoindex
