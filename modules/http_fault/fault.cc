// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_fault/fault.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"

namespace fairlead::http::fault {
namespace {

std::optional<uint64_t> number_of(const Headers& fields, std::string_view name, uint64_t least, uint64_t most) {
  const Headers::Field* field = fields.find(name);
  if (!field) return std::nullopt;
  auto number = parse_decimal(field->value);
  if (!number || *number < least || *number > most) return std::nullopt;
  return number;
}

// A kind of fault by which a request may ask for it.
struct Asked {
  std::string_view field, share_field;
  uint64_t least, most, unit;
};
constexpr Asked asked_delay = {"x-envoy-fault-delay-request", "x-envoy-fault-delay-request-percentage", 1, UINT32_MAX, 1};
constexpr Asked asked_abort = {"x-envoy-fault-abort-request", "x-envoy-fault-abort-request-percentage", 200, 599, 1};
constexpr Asked asked_grpc = {"x-envoy-fault-abort-grpc-request", "x-envoy-fault-abort-request-percentage", 0, grpc_status_max, 1};
constexpr Asked asked_rate = {"x-envoy-fault-throughput-response", "x-envoy-fault-throughput-response-percentage", 1, UINT32_MAX, 1024};

// What the request wishes, or else what is configured.
Setting setting_for(const Fault& fault, const Setting& configured, const Headers& fields, const Asked& asked) {
  if (fault.headers_share == 0) return configured;
  auto value = number_of(fields, asked.field, asked.least, asked.most);
  if (!value) return configured;
  uint64_t percent = number_of(fields, asked.share_field, 0, 100).value_or(100);
  return {*value * asked.unit, std::min(static_cast<uint32_t>(percent) * 100, fault.headers_share)};
}

}  // namespace

Chosen choose(const Fault& fault, const Headers& fields, const std::function<bool(uint32_t share)>& roll) {
  Chosen chosen;
  auto happens = [&](const Setting& setting) { return setting.share != 0 && roll(setting.share); };
  Setting delay = setting_for(fault, fault.delay, fields, asked_delay);
  if (happens(delay)) chosen.delay_ms = std::min(delay.value, std::max(fault.delay_max_ms, fault.delay.value));
  Setting abort = setting_for(fault, fault.abort, fields, asked_abort);
  if (happens(abort)) chosen.status = static_cast<uint16_t>(abort.value);
  Setting grpc = setting_for(fault, fault.grpc_abort, fields, asked_grpc);
  if (chosen.status == 0 && happens(grpc)) chosen.grpc_status = static_cast<int>(grpc.value);
  Setting rate = setting_for(fault, fault.rate, fields, asked_rate);
  if (happens(rate)) chosen.rate_bytes = rate.value;
  return chosen;
}

}  // namespace fairlead::http::fault
