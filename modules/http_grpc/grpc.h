// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The parts of http_grpc: its Conf and what it knows of one call. Private to this folder.
#pragma once

#include <optional>

#include "http/forward/forward.h"
#include "http/forward/request_head.h"
#include "http/h2/peer_conf.h"
#include "modules/http_grpc/status.h"
#include "modules/http_grpc/web.h"

namespace fairlead::http::grpc {

// The conditions that grpc_next_upstream has, with their bits in Next.
enum class NextPeer : uint32_t {};

// grpc_pass of one block.
struct Pass {
  bool is_set = false;
  bool is_secure = false;      // grpcs
  const GroupSpec* group = nullptr;
  Template url;                // with variables
  std::string_view authority;  // as written, for :authority
  bool has_port = false;
};

struct GrpcConf : ForwardConf, TlsClientConf, h2::PeerLimits {
  GrpcConf() {
    buffering = request_buffering = false;
    pass_trailers = true;
    replay_buffer_size.bytes = 65'536;
  }
  Pass pass;
  TlsClient* tls = nullptr;    // of the generation; set if some target may be grpcs
  TlsClients clients;          // of the main part: those of all blocks
  Flags<NextPeer> next_peer{static_cast<uint32_t>(Next::error) | static_cast<uint32_t>(Next::timeout)};
  bool web = false;
  std::vector<std::string_view> web_origins;  // whose pages may see replies; "*" alone: all
  std::vector<SetHeader> set_headers;
  SetHeaderInherit set_header_inherit = SetHeaderInherit::on;
  // Made by finish: names of client fields that are not passed on.
  HeaderNames replaced;

  // grpc_next_upstream names some "grpc-status".
  bool lists_grpc_status() const;
};

// One call. The module's state in a request.
struct Call {
  const GrpcConf* conf = nullptr;
  RuntimeTarget target;
  std::string_view authority, path;
  bool is_secure = false;
  uint64_t deadline_ms = 0;  // of the client's grpc-timeout; 0: none
};

Task<Verdict> run_grpc(Request& request);

// Whether the client speaks gRPC (or gRPC-Web where that is on), so that an answer of ours must be one that it understands.
bool is_grpc_request(const Request& request);
// none: not, or grpc_web is off.
WebKind web_kind_of(const Request& request);

}  // namespace fairlead::http::grpc
