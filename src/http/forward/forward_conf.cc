// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/forward_conf.h"

#include "core/base/text.h"

namespace fairlead {

ConfResult<Unit> ConfValue<http::RetryBackoff>::parse(Line& line, http::RetryBackoff& field) {
  field = {};
  if (line.word(1) == "off" && line.word_count() == 1) return Unit();
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    bool base = word.starts_with("base=");
    if (!base && !word.starts_with("max=")) return line.invalid_parameter(i);
    auto ms = parse_time_ms(word.substr(base ? 5 : 4), TimeGrain::milliseconds);
    if (!ms || *ms == 0) return line.invalid_parameter(i);
    (base ? field.base_ms : field.max_ms) = *ms;
  }
  if (field.base_ms == 0) return line.directive_reason("needs \"base=\"");
  if (field.max_ms == 0) field.max_ms = 10 * field.base_ms;
  if (field.max_ms < field.base_ms) return line.directive_reason("has \"max=\" below \"base=\"");
  return Unit();
}

ConfResult<Unit> ConfValue<http::BindAddress>::parse(Line& line, http::BindAddress& field) {
  field = {};
  if (line.word_count() == 1 && line.word(1) == "off") return Unit();
  if (line.word_count() == 2) {
    if (line.word(2) != "transparent") return line.invalid_parameter(2);
    field.transparent = true;
  }
  auto address = compile_word(line, 1);
  if (!address) return address.error();
  if (address->is_literal()) {
    auto parsed = parse_addr(line.word(1), 0, AddrUse::listen);
    if (!parsed || parsed->is_name()) return std::string("invalid address \"") + std::string(line.word(1)) + "\"";
  }
  field.address = std::move(*address);
  return Unit();
}

}  // namespace fairlead
