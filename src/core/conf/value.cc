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
  if (!number || *number > INT64_MAX) return line.directive_reason("invalid number");  // nginx counts with a sign
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

// -- as they would be written --

static constexpr uint64_t unset = UINT64_MAX;  // some Confs say "not set" so

static std::string show_ms(uint64_t ms) {
  if (ms == unset) return {};
  if (ms % 1000 != 0) return format("{}ms", ms);
  uint64_t s = ms / 1000;
  if (s != 0 && s % 86400 == 0) return format("{}d", s / 86400);
  if (s != 0 && s % 3600 == 0) return format("{}h", s / 3600);
  return format("{}s", s);
}
static std::string show_bytes(uint64_t bytes) {
  if (bytes == unset) return {};
  if (bytes != 0 && bytes % (1 << 20) == 0) return format("{}m", bytes >> 20);
  if (bytes != 0 && bytes % (1 << 10) == 0) return format("{}k", bytes >> 10);
  return format("{}", bytes);
}

std::string ConfValue<bool>::show(const bool& field) { return field ? "on" : "off"; }
std::string ConfValue<uint64_t>::show(const uint64_t& field) { return field == unset ? std::string() : format("{}", field); }
std::string ConfValue<Msec>::show(const Msec& field) { return show_ms(field.ms); }
std::string ConfValue<Seconds>::show(const Seconds& field) { return field.s == unset ? std::string() : show_ms(field.s * 1000); }
std::string ConfValue<Size>::show(const Size& field) { return show_bytes(field.bytes); }
std::string ConfValue<Offset>::show(const Offset& field) { return show_bytes(field.bytes); }
std::string ConfValue<Buffers>::show(const Buffers& field) {
  return field.count == 0 ? std::string() : format("{} {}", field.count, show_bytes(field.bytes));
}
std::string ConfValue<std::string_view>::show(const std::string_view& field) { return std::string(field); }

}  // namespace fairlead
