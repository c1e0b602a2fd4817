// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// How `$http_NAME`, `$arg_NAME` and `$cookie_NAME` find what they name.
#include <algorithm>

#include "core/base/text.h"
#include "http/conf/variables.h"

namespace fairlead::http {

bool is_same_variable(std::string_view a, std::string_view b) {
  auto shown = [](char byte) { return byte == '-' ? '_' : lower(byte); };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return shown(x) == shown(y); });
}

const Headers::Field* find_field(const Headers& headers, std::string_view variable_name) {
  for (const Headers::Field& field : headers)
    if (is_same_variable(variable_name, field.name)) return &field;
  return nullptr;
}

Value field_value(const Headers& headers, std::string_view variable_name) {
  const Headers::Field* first = find_field(headers, variable_name);
  if (!first) return Value::missing();
  std::string_view text = first->value, between = first->known == KnownHeader::cookie ? "; " : ", ";
  for (const Headers::Field* next = first + 1; next < headers.end(); ++next)
    if (is_same_variable(variable_name, next->name)) text = headers.arena().join({text, between, next->value});
  return Value{text};
}

Value find_argument(std::string_view args, std::string_view name) {
  if (name.empty()) return Value::missing();
  for (size_t at = 0; at < args.size();) {
    size_t end = args.find('&', at);
    if (end == std::string_view::npos) end = args.size();
    std::string_view argument = args.substr(at, end - at);
    if (argument.size() > name.size() && argument[name.size()] == '=' && equal_nocase(argument.substr(0, name.size()), name))
      return Value{argument.substr(name.size() + 1)};
    at = end + 1;
  }
  return Value::missing();
}

static std::string_view without_spaces_before(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && text[at] == ' ') ++at;
  return text.substr(at);
}

// Pairs are separated by ';' and, as old clients do it, by ','; a value runs to the ';'.
static Value find_cookie_in(std::string_view line, std::string_view name) {
  while (!line.empty()) {
    if (starts_with_nocase(line, name)) {
      std::string_view rest = without_spaces_before(line.substr(name.size()));
      if (!rest.empty() && rest[0] == '=') {
        rest = without_spaces_before(rest.substr(1));
        return Value{rest.substr(0, rest.find(';'))};
      }
    }
    size_t separator = line.find_first_of(";,");
    if (separator == std::string_view::npos) break;
    line = without_spaces_before(line.substr(separator + 1));
  }
  return Value::missing();
}

Value find_cookie(const Headers& headers, std::string_view name) {
  for (const Headers::Field* field = headers.find(KnownHeader::cookie); field; field = headers.next_same(*field)) {
    Value found = find_cookie_in(field->value, name);
    if (found.found) return found;
  }
  return Value::missing();
}

}  // namespace fairlead::http
