// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/requirement.h"

#include "core/base/text.h"

namespace fairlead::http {

ConfResult<Unit> parse_requirement(Line& line, bool (*may_be)(uint64_t status), Requirement& requirement) {
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    if (word.starts_with("error=")) {
      auto status = parse_decimal(word.substr(6));
      if (!status || !may_be(*status)) return line.invalid_parameter(i);
      requirement.status = static_cast<uint16_t>(*status);
      continue;
    }
    if (!word.starts_with('$')) return line.invalid_parameter(i);
    auto value = compile_word(line, i);
    if (!value) return value.error();
    requirement.values.push_back(std::move(*value));
  }
  if (requirement.values.empty()) return std::string("a value must be given");
  return Unit();
}

const Template* first_missing(const Requirement& requirement, Request& request) {
  for (const Template& value : requirement.values) {
    std::string_view text = value.evaluate(request);
    if (text.empty() || text == "0") return &value;
  }
  return nullptr;
}

}  // namespace fairlead::http
