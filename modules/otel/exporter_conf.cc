// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/otel/exporter_conf.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/line.h"
#include "http/message/headers.h"

namespace fairlead::http::otel {
namespace {

constexpr uint16_t grpc_port = 4317, http_port = 4318;  // of OTLP, by IANA
constexpr uint64_t batch_size_max = 65'536, batch_count_max = 1024;

ExporterConf& exporter_of(Line& line) { return *line.block().object<ExporterConf>(); }

struct Scheme {
  std::string_view text;
  bool is_grpc, is_secure;
};
constexpr Scheme schemes[] = {{"http://", false, false}, {"https://", false, true}, {"grpc://", true, false}, {"grpcs://", true, true}};

ConfResult<Unit> finish_exporter(ExporterConf& exporter) {
  if (exporter.host.empty()) return std::string("\"otel_exporter\" requires \"endpoint\"");
  bool is_grpc = exporter.protocol == ExportProtocol::grpc;
  if (exporter.port == 0) exporter.port = is_grpc ? grpc_port : http_port;
  if (exporter.is_grpc_url && !is_grpc) return std::string("an endpoint by \"grpc\" with \"protocol http\"");
  if (is_grpc && !exporter.path.empty()) return std::string("an endpoint of gRPC has no path");
  if (exporter.path.empty() && !is_grpc) exporter.path = "/v1/traces";
  if (exporter.address.is_ip()) exporter.address.set_port(exporter.port);
  return Unit();
}

}  // namespace

ConfResult<Unit> set_exporter(Line& line, OtelConf& own) {
  ExporterConf* exporter = line.arena().make<ExporterConf>();
  own.exporter = exporter;
  Block* block = line.open_block(in_own_block);
  exporter->block = block;
  block->set_object(exporter);
  FL_TRY(line.read_block(*block));
  if (own_conf<OtelConf>(*block).has_variables()) return std::string("variables cannot be used in \"otel_exporter\"");
  return finish_exporter(*exporter);
}

ConfResult<Unit> set_endpoint(Line& line, OtelConf&) {
  ExporterConf& exporter = exporter_of(line);
  std::string_view text = line.word(1);
  for (const Scheme& scheme : schemes) {
    if (!starts_with_nocase(line.word(1), scheme.text)) continue;
    text.remove_prefix(scheme.text.size());
    exporter.is_secure = scheme.is_secure;
    exporter.is_grpc_url = scheme.is_grpc;
  }
  size_t slash = text.starts_with("unix:") ? text.size() : std::min(text.find('/'), text.size());
  exporter.path = text.substr(slash);
  exporter.authority = text.substr(0, slash);
  auto parsed = parse_addr(exporter.authority, 0, AddrUse::connect);
  if (!parsed) return format("{} in \"{}\"", parsed.error(), line.word(1));
  exporter.host = parsed->host;
  exporter.address = parsed->addr;
  exporter.port = parsed->port;
  return Unit();
}

ConfResult<Unit> bind_exporter(Generation& generation, ExporterConf& exporter) {
  if (!exporter.is_secure) return Unit();
  auto client = exporter.clients.of(generation, *exporter.block, conf<OtelConf>(*exporter.block), "ssl");
  if (!client) return std::move(client.error());
  exporter.tls = *client;
  return Unit();
}

ConfResult<Unit> set_protocol(Line& line, OtelConf&) {
  if (line.word(1) == "grpc") exporter_of(line).protocol = ExportProtocol::grpc;
  else if (line.word(1) == "http") exporter_of(line).protocol = ExportProtocol::http;
  else return line.invalid_value(1);
  return Unit();
}

ConfResult<Unit> add_header(Line& line, OtelConf&) {
  constexpr KnownHeaderSet own(KnownHeader::host, KnownHeader::content_length, KnownHeader::content_type, KnownHeader::transfer_encoding,
                               KnownHeader::connection, KnownHeader::te, KnownHeader::upgrade);
  if (!is_token(line.word(1)) || own.holds(find_known_header(line.word(1)))) return line.invalid_value(1);
  if (!is_field_value(line.word(2))) return line.invalid_value(2);
  exporter_of(line).headers.emplace_back(line.word(1), line.word(2));
  return Unit();
}

ConfResult<Unit> set_exporter_time(Line& line, OtelConf&) {
  auto ms = parse_time_ms(line.word(1));
  if (!ms || *ms == 0) return line.invalid_value(1);
  (line.name() == "interval" ? exporter_of(line).interval_ms : exporter_of(line).timeout_ms) = *ms;
  return Unit();
}

ConfResult<Unit> set_exporter_number(Line& line, OtelConf&) {
  bool is_size = line.name() == "batch_size";
  auto number = parse_decimal(line.word(1));
  if (!number || *number == 0 || *number > (is_size ? batch_size_max : batch_count_max)) return line.invalid_value(1);
  (is_size ? exporter_of(line).batch_size : exporter_of(line).batch_count) = *number;
  return Unit();
}

ConfResult<Unit> set_attribute_size(Line& line, OtelConf&) {
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_mega);
  if (!bytes || *bytes == 0) return line.invalid_value(1);
  exporter_of(line).text_bytes_max = *bytes;
  return Unit();
}

}  // namespace fairlead::http::otel
