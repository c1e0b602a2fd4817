// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/zone_word.h"

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/shm/shm.h"

namespace fairlead {

ConfResult<ZoneWord> parse_zone_word(std::string_view text) {
  size_t colon = text.find(':');
  auto bytes = colon == std::string_view::npos ? std::nullopt : parse_size(text.substr(colon + 1), SizeUnits::up_to_mega);
  if (!bytes) return format("invalid zone size \"zone={}\"", text);
  ZoneWord zone{text.substr(0, colon), static_cast<size_t>(*bytes)};
  if (zone.bytes < zone_bytes_min) return format("zone \"zone={}\" is too small", text);
  return zone;
}

}  // namespace fairlead
