// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/client_failure.h"

#include "core/base/error.h"

namespace fairlead::http {

uint16_t status_of_client_failure(const Error& error) {
  if (error.fault == Fault::too_large) return 413;
  return error.fault == Fault::timeout ? 408 : 400;
}

std::string_view reason_of_client_failure(const Error& error) {
  if (error.fault == Fault::timeout) return "SI";
  return error.fault == Fault::malformed || error.fault == Fault::too_large ? "DPE" : "DC";
}

}  // namespace fairlead::http
