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

ConfResult<Unit> finish_exporter(ExporterConf& exporter) {
  if (exporter.host.empty()) return std::string("\"otel_exporter\" requires \"endpoint\"");
  bool is_grpc = exporter.protocol == ExportProtocol::grpc;
  if (exporter.port == 0) exporter.port = is_grpc ? grpc_port : http_port;
  if (is_grpc && !exporter.path.empty()) return std::string("an endpoint of gRPC has no path");
  if (exporter.path.empty() && !is_grpc) exporter.path = "/v1/traces";
  if (exporter.address.is_ip()) exporter.address.set_port(exporter.port);
  return Unit();
}

}  // namespace

ConfResult<Unit> set_exporter(Line& line, OtelConf& own) {
  ExporterConf* exporter = line.arena().make<ExporterConf>();
  own.exporter = exporter;
  Block* block = line.open_block(in_exporter);
  block->set_object(exporter);
  FL_TRY(line.read_block(*block));
  return finish_exporter(*exporter);
}

ConfResult<Unit> set_endpoint(Line& line, OtelConf&) {
  ExporterConf& exporter = exporter_of(line);
  std::string_view text = line.word(1);
  if (starts_with_nocase(text, "https://")) return std::string("TLS to a collector is not supported: \"https\"");
  if (starts_with_nocase(text, "http://")) text.remove_prefix(7);
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

ConfResult<Unit> set_protocol(Line& line, OtelConf&) {
  if (line.word(1) == "grpc") exporter_of(line).protocol = ExportProtocol::grpc;
  else if (line.word(1) == "http") exporter_of(line).protocol = ExportProtocol::http;
  else return line.invalid_value(1);
  return Unit();
}

ConfResult<Unit> add_header(Line& line, OtelConf&) {
  if (!is_token(line.word(1))) return line.invalid_value(1);
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
