// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/error.h"

#include <cerrno>
#include <cstdio>

namespace fairlead {

static Fault fault_of(int err) {
  switch (err) {
    case ECONNRESET: case EPIPE: case ECONNABORTED: return Fault::reset;
    case ECONNREFUSED: case ENETUNREACH: case EHOSTUNREACH: case ENETDOWN: case EHOSTDOWN: case EADDRNOTAVAIL: return Fault::refused;
    case ETIMEDOUT: return Fault::timeout;
    case EMFILE: case ENFILE: case ENOMEM: case ENOBUFS: case ENOSPC: return Fault::exhausted;
    default: return Fault::system;
  }
}

Error Error::from_errno(int err, const char* what, Side side) { return Error{fault_of(err), side, err, what}; }

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "fairlead: [alert] assertion failed: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace fairlead
