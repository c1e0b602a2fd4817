// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/access_log/format.h"

#include <algorithm>
#include <cstring>

#include "core/base/escape.h"

namespace fairlead::access_log {

static constexpr std::string_view combined_text =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

ConfResult<LogFormat*> LogFormat::compile(const Line& line, std::string_view name, Escaping escaping,
                                         std::span<const std::string_view> words) {
  LogFormat* format = line.arena().make<LogFormat>();
  format->name_ = name;
  format->escaping_ = escaping;
  for (std::string_view word : words) {
    auto parts = cut_template(word, variables_of(line), line.place(), false);
    if (!parts) return parts.error();
    format->parts_.insert(format->parts_.end(), parts->begin(), parts->end());
  }
  return format;
}

ConfResult<LogFormat*> LogFormat::make_combined(VariableTable& variables, Arena& arena) {
  auto parts = cut_template(combined_text, variables, Place{}, false);
  if (!parts) return parts.error();
  LogFormat* format = arena.make<LogFormat>();
  format->name_ = combined_name;
  format->parts_ = std::move(*parts);
  return format;
}

namespace {

// The end of a bounded line.
class Writer {
 public:
  Writer(char* at, size_t room) : begin_(at), at_(at), end_(at + room - 1) {}

  void put(std::string_view text) {
    size_t bytes = std::min(text.size(), static_cast<size_t>(end_ - at_));
    if (bytes) std::memcpy(at_, text.data(), bytes);
    at_ += bytes;
  }
  void put_escaped(Escape set, std::string_view text) {
    constexpr size_t growth_max = 6;  // "\u001f" of one byte
    size_t bytes = escaped_size(set, text);
    if (bytes == text.size()) return put(text);
    size_t room = static_cast<size_t>(end_ - at_);
    if (bytes > room) text = text.substr(0, room / growth_max);
    at_ = escape_to(set, at_, text);
  }
  std::string_view end_line() {
    *at_++ = '\n';
    return {begin_, static_cast<size_t>(at_ - begin_)};
  }

 private:
  char* begin_;
  char* at_;
  char* end_;
};

}  // namespace

std::string_view LogFormat::write(Session& session, char* room) const {
  Writer line(room, line_max);
  for (const Template::Part& part : parts_) {
    if (part.kind == Template::Part::Kind::literal) {
      line.put(part.text);
      continue;
    }
    Value value = session.variable(part.index);
    if (!value.found) {
      if (escaping_ == Escaping::text) line.put("-");
    } else if (escaping_ == Escaping::none) {
      line.put(value.text);
    } else {
      line.put_escaped(escaping_ == Escaping::json ? Escape::json : Escape::log, value.text);
    }
  }
  return line.end_line();
}

}  // namespace fairlead::access_log
