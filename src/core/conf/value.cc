// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/value.h"

#include "core/base/format.h"
#include "core/base/text.h"

namespace fairlead {

ConfResult<Unit> ConfValue<bool>::parse(Line& line, bool& field) {
  if (equal_nocase(line.word(1), "on")) field = true;
  else if (equal_nocase(line.word(1), "off")) field = false;
  else return format("invalid value \"{}\" in \"{}\" directive, it must be \"on\" or \"off\"", line.word(1), line.name());
  return Unit();
}

ConfResult<Unit> ConfValue<uint64_t>::parse(Line& line, uint64_t& field) {
  auto number = parse_decimal(line.word(1));
  if (!number) return line.directive_reason("invalid number");
  field = *number;
  return Unit();
}

ConfResult<Unit> ConfValue<Msec>::parse(Line& line, Msec& field) {
  auto ms = parse_time_ms(line.word(1), TimeGrain::milliseconds);
  if (!ms) return line.directive_reason("invalid value");
  field.ms = *ms;
  return Unit();
}

ConfResult<Unit> ConfValue<Seconds>::parse(Line& line, Seconds& field) {
  auto ms = parse_time_ms(line.word(1), TimeGrain::seconds);
  if (!ms) return line.directive_reason("invalid value");
  field.s = *ms / 1000;
  return Unit();
}

ConfResult<Unit> ConfValue<Size>::parse(Line& line, Size& field) {
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_mega);
  if (!bytes) return line.directive_reason("invalid value");
  field.bytes = *bytes;
  return Unit();
}

ConfResult<Unit> ConfValue<Offset>::parse(Line& line, Offset& field) {
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_giga);
  if (!bytes) return line.directive_reason("invalid value");
  field.bytes = *bytes;
  return Unit();
}

ConfResult<Unit> ConfValue<Buffers>::parse(Line& line, Buffers& field) {
  auto count = parse_decimal(line.word(1));
  auto bytes = parse_size(line.word(2), SizeUnits::up_to_mega);
  if (!count || *count == 0 || !bytes || *bytes == 0) return line.directive_reason("invalid value");
  field = {*count, *bytes};
  return Unit();
}

ConfResult<Unit> ConfValue<std::string_view>::parse(Line& line, std::string_view& field) {
  field = line.word(1);
  return Unit();
}

}  // namespace fairlead
