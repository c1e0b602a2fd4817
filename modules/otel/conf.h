// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What otel_* and trace_context say, as values.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "core/base/addr.h"
#include "core/conf/line.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "event/tls/client.h"
#include "http/h2/peer_conf.h"
#include "modules/otel/context.h"

namespace fairlead::http::otel {

enum class ContextMode : uint8_t { ignore, extract, inject, propagate };

struct SpanAttribute {
  std::string_view name;
  Template value;
};
using NamedTexts = std::vector<std::pair<std::string_view, std::string_view>>;

enum class ExportProtocol : uint8_t { grpc, http };

// Of otel_exporter, once for the http block.
struct ExporterConf {
  std::string_view host, authority;  // of the endpoint; host in brackets if IPv6
  uint16_t port = 0;
  std::string_view path;             // with ExportProtocol::http
  Addr address;                      // valid if the host is one
  ExportProtocol protocol = ExportProtocol::grpc;
  bool is_secure = false;            // over TLS, as the ssl_* of the block say
  bool is_grpc_url = false;          // by its scheme
  NamedTexts headers;
  uint64_t interval_ms = 5000;
  uint64_t batch_size = 512;
  uint64_t batch_count = 4;
  uint64_t timeout_ms = 10'000;
  uint64_t text_bytes_max = 1024;    // of an attribute's value
  h2::PeerLimits limits;             // of the connection to the collector
  const Block* block = nullptr;      // otel_exporter { }
  TlsClient* tls = nullptr;          // if it is secure; made when the configuration is complete
  TlsClients clients;                // holds it
};

// What it derives from is set in otel_exporter { } alone.
struct OtelConf : TlsServiceConf {
  Template trace;                    // otel_trace; not set: off
  Template grpc_status;              // $grpc_status, where that is set
  ContextMode mode = ContextMode::ignore;
  uint8_t formats = 0;               // trace_context: bits of Format
  Template span_name;                // not set: the location's name
  std::vector<SpanAttribute> attributes;
  bool upstream_spans = false;
  // Of the http block.
  ExporterConf* exporter = nullptr;
  std::string_view service_name = "unknown_service:nginx";
  NamedTexts resource;
  // Of the main part.
  uint32_t spans = 0;                // FamilyId
  const Place* traced_at = nullptr;  // the first otel_trace that is not off

  bool extracts() const { return formats != 0 || mode == ContextMode::extract || mode == ContextMode::propagate; }
  bool injects() const { return formats != 0 || mode == ContextMode::inject || mode == ContextMode::propagate; }
  // otel_trace_context alone speaks W3C's, as in nginx.
  uint8_t used_formats() const { return formats != 0 ? formats : static_cast<uint8_t>(Format::w3c); }
};

}  // namespace fairlead::http::otel
