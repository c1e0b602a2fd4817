// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ClientFacts: what is known of a client's connection, whatever protocol it speaks; one per connection, in the serve frame.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/addr.h"
#include "core/base/log.h"

namespace fairlead {
class Worker;
class Generation;
}
namespace fairlead::http {

struct ListenAddress;
class SecureClient;

struct ClientFacts {
  Worker& worker;
  Generation& generation;
  const ListenAddress& listen;   // the address it came in by
  uint64_t number = 0;           // of the connection, for logs
  Addr peer;
  Addr local;                    // resolved when asked for, if the listener is a wildcard
  uint64_t requests = 0;         // served on it, the current one counted
  uint64_t started_ms = 0;
  bool is_secure = false;        // over TLS
  std::string_view alpn;         // what the handshake agreed on, "h2"; empty: nothing
  const SecureClient* secure = nullptr;  // the TLS side of it, once its handshake is done
};

}  // namespace fairlead::http
