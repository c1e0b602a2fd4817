// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the directives of ext_authz set. Private to this folder.
#pragma once

#include <array>
#include <vector>

#include "core/conf/directive.h"
#include "core/upstream/group.h"
#include "event/tls/client.h"
#include "http/forward/request_head.h"
#include "http/request/body_beginning.h"

namespace fairlead::http::ext_authz {

struct Service {
  bool is_set = false;         // else nobody is asked
  bool speaks_grpc = false;    // else HTTP/1.1
  bool is_secure = false;      // over TLS
  const GroupSpec* group = nullptr;
  std::string_view scheme;     // "grpcs://"
  bool has_port = false;
  std::string_view authority;  // as written: the call's :authority
  std::string_view prefix;     // HTTP: before the path of the request
};

// What it means that the service gave no decision.
struct OnFailure {
  bool open = false;      // the request is let in
  uint16_t status = 403;  // else: what the client gets
};

// A field of the service's answer to the upstream's request.
struct Copied {
  std::string_view name;
  bool appends = false;  // behind the client's own; else in their place
};

struct ContextEntry {
  std::string_view name;
  Template value;
};

struct ExtAuthzConf : TlsServiceConf {
  Service service;
  Msec timeout{200};
  OnFailure on_failure;
  std::vector<std::string_view> passed_fields;
  std::vector<Copied> to_upstream;
  std::vector<std::string_view> reserved;  // of to_upstream: what the client itself says in them never passes
  std::vector<std::string_view> to_client;
  std::vector<SetHeader> set_headers;
  std::vector<ContextEntry> context;
  BodyShare body;
  Size response_bytes_max{64 * 1024};
  TlsClient* tls = nullptr;   // of a secure service; made when the configuration is complete
  TlsClients clients;         // of the main block: all of them
};

// Framing, connection and Host are not the service's to change.
inline bool may_change(std::string_view name) { return is_token(name) && !not_passed_on.holds(find_known_header(name)); }

extern const std::array<Directive, 25> rows;
// Names of groups and clients of TLS, once all is known.
ConfResult<Unit> bind_services(Generation& generation);

}  // namespace fairlead::http::ext_authz
