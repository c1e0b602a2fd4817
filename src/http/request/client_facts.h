// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ClientFacts: what HTTP knows of a client's connection, whatever version of it is spoken; one per connection, in the serve frame.
#pragma once

#include "event/net/client.h"
#include "http/conf/listen.h"

namespace fairlead::http {

class SecureClient;

struct ClientFacts final : Client {
  ClientFacts(Worker& its_worker, Generation& its_generation, const ListenAddress& address)
      : Client(its_worker, its_generation, address), listen(address) {}
  const ListenAddress& listen;           // the address it came in by
  uint64_t requests = 0;                 // served on it, the current one counted
  bool is_begun = false;                 // HTTP/2: bytes of the client came, if no request yet
  const SecureClient* secure = nullptr;  // the TLS side of it, once its handshake is done
};

}  // namespace fairlead::http
