// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/client_failure.h"

#include "core/base/error.h"

namespace fairlead::http {

uint16_t status_of_client_failure(const Error& error) {
  if (error.fault == Fault::too_large) return 413;
  if (error.fault == Fault::reset && error.sys == 0) return 499;  // of an HTTP/2 stream; a connection of HTTP/1 that is reset has an errno
  return error.fault == Fault::timeout ? 408 : 400;
}

std::string_view reason_of_client_failure(const Error& error) {
  if (error.fault == Fault::timeout) return "SI";
  return error.fault == Fault::malformed || error.fault == Fault::too_large ? "DPE" : "DC";
}

}  // namespace fairlead::http
