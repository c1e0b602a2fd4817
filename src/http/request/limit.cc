// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/limit.h"

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/shm/table.h"

namespace fairlead {

ConfResult<Unit> ConfValue<http::RefusalStatus>::parse(Line& line, http::RefusalStatus& field) {
  auto number = parse_decimal(line.word(1));
  if (!number) return line.directive_reason("invalid number");
  if (*number < 400 || *number > 599) return std::string("value must be between 400 and 599");
  field.status = static_cast<uint16_t>(*number);
  return Unit();
}

std::string ConfValue<http::RefusalStatus>::show(const http::RefusalStatus& field) { return format("{}", field.status); }

namespace http {

ConfResult<Unit> check_same_key(const KeyedZone& now, const KeyedZone& before, const char* what) {
  bool goes_on = now.zone->name() == before.zone->name() && now.zone->bytes() == before.zone->bytes();
  if (!goes_on || now.key.source() == before.key.source()) return Unit();
  return format("{} \"{}\" uses the \"{}\" key while previously it used the \"{}\" key", what, now.zone->name(), now.key.source(),
                before.key.source());
}

std::optional<std::string_view> limit_key(Request& request, const Template& key) {
  std::string_view text = key.evaluate(request);
  if (text.empty()) return std::nullopt;
  if (text.size() <= ShmTableCore::key_bytes_max) return text;
  request.logger.error("the value of the \"{}\" key is more than 65535 bytes: \"{}\"", key.source(), text.substr(0, 256));
  return std::nullopt;
}

}  // namespace http
}  // namespace fairlead
