// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HeadFault: why a head is no message.
#pragma once

#include <cstdint>
#include <string_view>

namespace fairlead::http {

struct HeadFault {
  uint16_t status = 0;       // what the client gets, 414 and 494 included; 502 for responses
  const char* what = "";     // for the log, e.g. "client sent invalid method"
  std::string_view detail;   // the text in question, unescaped, or empty; valid as long as the buffer
};

}  // namespace fairlead::http
