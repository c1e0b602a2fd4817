// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `listen` of http: which addresses there are, which servers each has, and which sockets are needed for them. An address that a wildcard
// of the same port covers shares the wildcard's socket; the local address of a connection then tells them apart.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/addr.h"
#include "core/process/listen_socket.h"
#include "event/net/listen_point.h"
#include "http/conf/server.h"

namespace fairlead::http {

struct ListenAddress : ListenPoint {
  VirtualHosts hosts;
  bool has_options = false;     // socket options were given: only one `listen` of an address may
  bool has_own_socket = false;  // `bind` or `reuseport`: a wildcard does not cover it
  bool is_secure = false;       // `ssl`: some `listen` of it says so
};

// One socket and the addresses it serves.
struct ListenGroup {
  ListenAddress* own = nullptr;
  std::vector<ListenAddress*> covered;
  // The address of a connection that arrived on it.
  const ListenAddress& address_of(int fd) const;
};

// What a `listen` line says besides the socket.
struct ListenWish {
  bool default_server = false;
  bool has_options = false;
  bool own_socket = false;
  bool is_secure = false;
  ListenOptions options;  // of modules
};

struct Listens {
  std::vector<std::unique_ptr<ListenAddress>> addresses;
  std::vector<std::unique_ptr<ListenGroup>> groups;
  // Adds a server to an address, made if new. `line`: for warnings; nullptr for a `listen` that nobody wrote.
  ConfResult<Unit> add(Server& server, const ListenSpec& spec, const ListenWish& wish, const Line* line);
  // After the last one: groups, names.
  void finish(Generation& generation);
};

// Sets of the `listen` directive.
ConfResult<Unit> set_listen(Line& line, Server& server, Listens& plan);

}  // namespace fairlead::http
