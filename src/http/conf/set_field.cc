// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/conf/set_field.h"

#include <algorithm>
#include <string>

#include "core/base/format.h"
#include "core/base/text.h"
#include "http/message/headers.h"

namespace fairlead::http {

std::string_view sendable_value(std::string_view text, Arena& arena) {
  if (is_field_value(text)) return text;
  std::string one_line;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    std::string_view piece = trim(text.substr(at, end - at));
    if (!piece.empty() && !one_line.empty()) one_line += ' ';
    one_line += piece;
    at = end + 1;
  }
  return is_field_value(one_line) ? arena.copy(one_line) : std::string_view();
}

std::string_view set_field_name(const Line& line, size_t index) {
  std::string_view name = line.word(index);
  if (is_token(name)) return name;
  if (name.ends_with(':') && is_token(name.substr(0, name.size() - 1))) {
    line.warn(format("the colon of the field name \"{}\" is left out", name));
    return name.substr(0, name.size() - 1);
  }
  line.warn(format("\"{}\" is no field name, the field is not sent", name));
  return {};
}

ConfResult<Template> set_field_value(const Line& line, size_t index) {
  auto value = compile_word(line, index);
  if (!value || !value->is_literal()) return value;
  std::string_view text = sendable_value(value->literal(), line.arena());
  if (text.empty() && !value->is_empty_literal()) line.warn(format("the value of \"{}\" cannot be sent", line.word(1)));
  return Template(text);
}

}  // namespace fairlead::http
