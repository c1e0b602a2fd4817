// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/uri.h"

#include <cstring>

#include "core/base/text.h"
#include "http/message/scan.h"

namespace fairlead::http {
namespace {

constexpr Error bad_uri{Fault::malformed, Side::client, 0, "client sent invalid request"};
constexpr Error unsafe_uri{Fault::malformed, Side::upstream, 0, "unsafe URI was detected"};

struct Stops {
  bool at[256] = {};
  constexpr Stops() {
    for (char byte : std::string_view("/%?#\0", 5)) at[static_cast<unsigned char>(byte)] = true;
  }
};
constexpr Stops stops;

struct Shape {
  size_t path_end = 0;
  bool plain = true;  // the path is already what normalising would make of it
};

Shape look_at(std::string_view target, bool merge_slashes) {
  Shape shape;
  size_t at = 0;
  for (; at < target.size(); ++at) {
    char byte = target[at];
    if (!stops.at[static_cast<unsigned char>(byte)]) continue;
    if (byte == '?' || byte == '#') break;
    char next = byte == '/' && at + 1 < target.size() ? target[at + 1] : 0;
    if (byte != '/' || next == '.' || (next == '/' && merge_slashes)) shape.plain = false;
  }
  shape.path_end = at;
  return shape;
}

// Builds the path segment by segment. What is written always begins with '/', and `segment_` is where the open segment begins.
class PathBuilder {
 public:
  PathBuilder(char* to, bool merge_slashes) : to_(to), merge_slashes_(merge_slashes) { to_[0] = '/'; }

  // Takes a byte of the path behind its first slash. False: above the root.
  bool take(char byte) {
    if (byte != '/') {
      to_[size_++] = byte;
      return true;
    }
    bool dots = is_dots();
    if (!end_segment()) return false;
    if (dots || (merge_slashes_ && size_ == segment_)) return true;  // the slash before stands for this one too
    to_[size_++] = '/';
    segment_ = size_;
    return true;
  }
  // Resolves `.` and `..`, which leave an empty segment open.
  bool end_segment() {
    std::string_view segment(to_ + segment_, size_ - segment_);
    if (segment == ".") {
      size_ = segment_;
    } else if (segment == "..") {
      if (segment_ == 1) return false;
      size_t slash = segment_ - 2;
      while (to_[slash] != '/') --slash;
      size_ = segment_ = slash + 1;
    }
    return true;
  }
  std::string_view path() const { return {to_, size_}; }

 private:
  bool is_dots() const {
    std::string_view segment(to_ + segment_, size_ - segment_);
    return segment == "." || segment == "..";
  }
  char* to_;
  size_t size_ = 1;
  size_t segment_ = 1;
  bool merge_slashes_;
};

// The byte that the three at `at` stand for, or -1 if they are no %XX or stand for NUL.
int decode_percent(std::string_view text, size_t at) {
  if (at + 2 >= text.size()) return -1;
  int high = hex_value(text[at + 1]), low = hex_value(text[at + 2]);
  if (high < 0 || low < 0 || (high | low) == 0) return -1;
  return high * 16 + low;
}

}  // namespace

Result<Uri> normalise_uri(std::string_view target, bool merge_slashes, Arena& arena) {
  if (target.empty() || target[0] != '/') return bad_uri;
  Uri uri;
  if (scan::is_plain_path(target, merge_slashes)) {
    uri.path = target;
    return uri;
  }
  Shape shape = look_at(target, merge_slashes);
  std::string_view raw = target.substr(0, shape.path_end);
  if (shape.path_end < target.size() && target[shape.path_end] == '?') {
    uri.args = target.substr(shape.path_end + 1);
    uri.args = uri.args.substr(0, uri.args.find('#'));
  }
  if (shape.plain) {
    uri.path = raw;
    return uri;
  }
  PathBuilder builder(static_cast<char*>(arena.allocate(raw.size(), 1)), merge_slashes);
  for (size_t at = 1; at < raw.size(); ++at) {
    char byte = raw[at];
    if (byte == '%') {
      int decoded = decode_percent(raw, at);
      if (decoded < 0) return bad_uri;
      byte = static_cast<char>(decoded);
      uri.percent_encoded = true;
      at += 2;
    }
    if (byte == '\0' || !builder.take(byte)) return bad_uri;
  }
  if (!builder.end_segment()) return bad_uri;
  uri.path = builder.path();
  return uri;
}

std::string_view uri_extension(std::string_view path) {
  if (path.empty()) return {};
  const char* dot = static_cast<const char*>(memrchr(path.data(), '.', path.size()));
  if (!dot || dot == path.data() || dot[-1] == '/') return {};
  std::string_view extension = path.substr(static_cast<size_t>(dot + 1 - path.data()));
  return extension.find('/') == std::string_view::npos ? extension : std::string_view();
}

std::string_view escaped(Escape set, std::string_view text, Arena& arena) {
  size_t size = escaped_size(set, text);
  if (size == text.size()) return text;
  char* to = static_cast<char*>(arena.allocate(size, 1));
  escape_to(set, to, text);
  return {to, size};
}

bool is_safe_path(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  Splitter segments(path, '/');
  std::string_view segment;
  while (segments.next(segment)) {
    if (segment == "..") return false;
  }
  return true;
}

// What is no escape does not count: as in nginx the '%' goes, and with it a digit that stands alone.
static std::string_view unescaped(std::string_view text, Arena& arena) {
  char* to = static_cast<char*>(arena.allocate(text.size(), 1));
  size_t size = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      to[size++] = text[at];
      continue;
    }
    int high = ++at < text.size() ? hex_value(text[at]) : 0;
    if (high < 0) {
      to[size++] = text[at];
      continue;
    }
    int low = ++at < text.size() ? hex_value(text[at]) : -1;
    if (low >= 0) to[size++] = static_cast<char>(high * 16 + low);
  }
  return {to, size};
}

Result<InternalUri> parse_internal_uri(std::string_view text, Arena& arena) {
  size_t query = text.find('?');
  InternalUri uri;
  uri.path = text.substr(0, query);
  if (query != std::string_view::npos) uri.args = text.substr(query + 1);
  if (!is_safe_path(uri.path)) return unsafe_uri;
  if (uri.path.find('%') == std::string_view::npos) return uri;
  uri.path = unescaped(uri.path, arena);
  if (!is_safe_path(uri.path)) return unsafe_uri;
  return uri;
}

}  // namespace fairlead::http
