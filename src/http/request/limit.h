// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What limits of all kinds have in common: the log level of a refusal, and the key by which clients are told apart.
#pragma once

#include <optional>

#include "core/conf/generation.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "core/shm/shm.h"
#include "http/request/request.h"

namespace fairlead {

template <>
struct EnumWords<LogLevel> {
  static constexpr EnumWord<LogLevel> all[] = {
      {"info", LogLevel::info}, {"notice", LogLevel::notice}, {"warn", LogLevel::warn}, {"error", LogLevel::error}};
};

}  // namespace fairlead
namespace fairlead::http {

// A status that a limit may refuse with.
struct RefusalStatus {
  uint16_t status = 503;
};

// A zone whose contents are by a key, or the mention of one that stands further down.
struct KeyedZone {
  Zone* zone = nullptr;
  Template key;
  bool is_declared = false;
};

// While loading: a zone that goes on with what the configuration before left in it has to have the same key. `what` takes it, in nginx's
// words.
ConfResult<Unit> check_same_key(const KeyedZone& now, const KeyedZone& before, const char* what);
// The same of all zones that a module's main block has, Conf::zones.
template <class Conf>
ConfResult<Unit> check_same_keys(Generation& generation, const char* what) {
  if (!generation.previous()) return Unit();
  for (const KeyedZone* before : conf<Conf>(generation.previous()->root()).zones)
    for (const KeyedZone* now : conf<Conf>(generation.root()).zones) FL_TRY(check_same_key(*now, *before, what));
  return Unit();
}

// The key of this request; nothing if it is empty or (with a line in the log) longer than 65535 bytes: then it is not limited.
std::optional<std::string_view> limit_key(Request& request, const Template& key);

}  // namespace fairlead::http
namespace fairlead {

template <>
struct ConfValue<http::RefusalStatus> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "code";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::RefusalStatus& field);
  static std::string show(const http::RefusalStatus& field);
};

}  // namespace fairlead
