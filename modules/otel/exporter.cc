// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/otel/exporter.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/base/utf8.h"
#include "core/conf/error_log.h"
#include "core/conf/generation.h"
#include "event/dns/resolver_conf.h"
#include "http/conf/http_block.h"
#include "http/h1/client.h"
#include "http/h2/client.h"
#include "modules/otel/protobuf.h"
#include "modules/otel/spans.h"

namespace fairlead::http::otel {
namespace {

constexpr std::string_view grpc_path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
// How long the end of a worker waits for its last spans.
constexpr uint64_t farewell_ms = 1000;
constexpr size_t arena_bytes = 1024;      // of one export: keys, names
constexpr size_t reason_bytes_max = 512;  // of what a collector says, in the log
constexpr unsigned refusals_max = 5;      // of a batch; then it is dropped

// What a collector may answer otherwise later (OTLP 1.x, "Failures").
bool may_change(unsigned http_status) { return http_status == 429 || (http_status >= 502 && http_status <= 504); }
bool may_change(std::string_view grpc_status) {
  constexpr std::string_view retryable[] = {"1", "4", "10", "11", "14", "15"};
  return std::find(std::begin(retryable), std::end(retryable), grpc_status) != std::end(retryable);
}

const OtelConf& http_conf(Worker& worker) { return conf<OtelConf>(*http_block_of(worker.generation())->block); }

// What distinguishes the exporter's connections from those of requests to the same address.
std::string key_text(const Addr& to, const PeerProtocol& protocol) { return format("otel {} {}", protocol.name, to.text()); }

}  // namespace

Exporter::Exporter(Worker& worker)
    : worker_(worker),
      conf_(http_conf(worker)),
      interval_(*this),
      pause_(*this),
      pool_(worker.loop(), PoolLimits{.idle_max = 1}),
      idle_(worker.loop()),
      sending_(worker.loop()) {
  idle_.set();
}

Logger Exporter::logger() const { return Logger(*conf<ErrorLogConf>(worker_.generation().root()).log); }

bool Exporter::take(size_t count) {
  if (waiting_.size() < conf_.exporter->batch_count) return true;
  note_dropped(count);
  return false;
}

void Exporter::added(size_t count) {
  if (filling_.count == 0) worker_.loop().arm(interval_, conf_.exporter->interval_ms);
  filling_.count += count;
  if (filling_.count >= conf_.exporter->batch_size) send_filled();
}

void Exporter::note_dropped(size_t spans) {
  if (dropped_ == 0) logger().warn("otel: the collector is slow, {} batches wait, spans are dropped", waiting_.size());
  dropped_ += spans;
  count("dropped", spans);
}

void Exporter::count(std::string_view result, size_t spans) {
  Metrics* metrics = worker_.generation().metrics.get();
  if (!metrics || !metrics->is_open()) return;
  metrics->add(metrics->counter(conf<OtelConf>(worker_.generation().root()).spans, {result}), spans);
}

void Exporter::send_filled() {
  interval_.disarm();
  if (filling_.count == 0) return;
  waiting_.push_back(std::exchange(filling_, Batch()));
  if (!pause_.armed()) begin_sending();
}

void Exporter::begin_sending() {
  if (!idle_.is_set() || waiting_.empty()) return;
  idle_.reset();
  sending_.spawn(send_waiting());
}

// Then it is sent again at the next interval, those behind it too.
bool Exporter::is_kept(Batch& batch, const Exported& exported) {
  if (!exported.is_refused || ++batch.refusals == refusals_max) return false;
  worker_.loop().arm(pause_, conf_.exporter->interval_ms);
  logger().warn("otel: {} spans will be sent again: {}", batch.count, exported.why);
  return true;
}

Task<Unit> Exporter::send_waiting() {
  while (!waiting_.empty()) {
    Batch& batch = waiting_.front();  // makes room when it is through
    Arena::Owner arena = Arena::open(arena_bytes);
    auto sent = co_await send(batch, *arena);
    if (sent && is_kept(batch, *sent)) break;
    bool is_through = sent && !sent->is_refused;
    if (is_through && sent->rejected != 0) count("rejected", sent->rejected);
    count(!sent ? "failed" : sent->is_refused ? "dropped" : "exported", is_through ? batch.count - sent->rejected : batch.count);
    if (!is_through) logger().error("otel: {} spans could not be exported: {}", batch.count, sent ? sent->why : sent.error().what);
    waiting_.pop_front();
    if (dropped_ != 0) logger().warn("otel: {} spans were dropped", std::exchange(dropped_, 0));
  }
  idle_.set();
  co_return Unit();
}

Task<Result<Exporter::Exported>> Exporter::send(const Batch& batch, Arena& arena) {
  auto to = co_await address();
  if (!to) co_return to.error();
  FetchPlan plan = plan_for(*to, arena);
  plan.body = write_export(conf_, batch.spans);
  if (conf_.exporter->protocol == ExportProtocol::grpc) plan.body = grpc_framed(plan.body);
  auto reply = co_await fetch(worker_, logger(), std::move(plan));
  if (!reply) co_return reply.error();
  co_return judge(*reply, batch.count);
}

Task<Result<Addr>> Exporter::address() {
  const ExporterConf& exporter = *conf_.exporter;
  if (exporter.address.valid()) co_return exporter.address;
  const ResolverConf& names = conf<ResolverConf>(*http_block_of(worker_.generation())->block);
  Resolver* resolver = names.off ? nullptr : worker_.state<Resolvers>().of(names);
  if (!resolver) co_return Error{Fault::unavailable, Side::upstream, 0, "no resolver defined"};
  std::string host(exporter.host);
  DnsFamilies families;
  auto answer = co_await resolver->resolve(host, families, worker_.loop().deadline(names.timeout));
  if (!answer) co_return answer.error();
  if (answer->addresses.empty()) co_return Error{Fault::unavailable, Side::upstream, 0, "host not found"};
  Addr found = answer->addresses.front();
  found.set_port(exporter.port);
  co_return found;
}

FetchPlan Exporter::plan_for(const Addr& to, Arena& arena) const {
  const ExporterConf& exporter = *conf_.exporter;
  bool is_grpc = exporter.protocol == ExportProtocol::grpc;
  FetchPlan plan{.protocol = is_grpc ? static_cast<const PeerProtocol&>(h2::client_protocol) : h1::client_protocol};
  std::string_view key = arena.copy(key_text(to, plan.protocol));
  if (exporter.tls) {
    TlsTarget& tls = *exporter.tls->target(arena, exporter.authority, is_grpc ? h2::alpn_protocol : std::string_view());
    tls.must_choose = is_grpc;
    key = arena.join({key, "|", tls.identity});
    tls.sessions_key = key;
    plan.target.connect.tls = &tls;
    plan.scheme = "https";
  }
  plan.target.address = &to;
  plan.target.key = PoolKey::of(key);
  plan.target.pool = &pool_;
  plan.target.limits = &exporter.limits;
  plan.target.connect_timeout_ms = exporter.timeout_ms;
  plan.authority = exporter.authority;
  plan.path = is_grpc ? grpc_path : exporter.path;
  plan.fields.emplace_back("Content-Type", is_grpc ? "application/grpc" : "application/x-protobuf");
  if (is_grpc) plan.fields.emplace_back("TE", "trailers");
  plan.fields.emplace_back("User-Agent", "fairlead/" FAIRLEAD_VERSION);
  for (const auto& field : exporter.headers) plan.fields.push_back(field);
  plan.may_repeat = true;  // a span that comes twice is one span: it has an identity of its own
  plan.timeout_ms = exporter.timeout_ms;
  return plan;
}

// A collector that took the export may have rejected spans of it. An answer that is no message counts as consent: the spans are there.
Result<Exporter::Exported> Exporter::judge(const Fetched& reply, size_t sent) const {
  auto refused = [](bool may_change, const char* why) -> Result<Exported> {
    if (may_change) return Exported{0, true, why};
    return Error{Fault::unavailable, Side::upstream, 0, why};
  };
  bool is_grpc = conf_.exporter->protocol == ExportProtocol::grpc;
  unsigned status = reply.head->status;
  if (status != 200) return refused(may_change(status), "the collector answered with another status than 200");
  std::string_view grpc_status = is_grpc ? reply.last_field("grpc-status") : "0";
  if (grpc_status != "0") {
    logger().info("otel: grpc-status {}: {}", grpc_status, reply.last_field("grpc-message"));
    return refused(may_change(grpc_status), "the collector's grpc-status is not 0");
  }
  std::optional<Rejected> rejected = read_response(is_grpc ? grpc_unframed(reply.body).message : std::string_view(reply.body));
  if (!rejected || (rejected->spans == 0 && rejected->why.empty())) return Exported();
  size_t count = std::min<uint64_t>(rejected->spans, sent);
  logger().warn("otel: the collector rejected {} of {} spans: \"{}\"", count, sent, as_utf8(rejected->why, '?', reason_bytes_max));
  return Exported{count};
}

Task<Unit> Exporter::flush() {
  pause_.disarm();
  send_filled();
  begin_sending();
  co_await idle_.wait(worker_.loop().deadline(farewell_ms));
  co_return Unit();
}

void Exporter::stop() {
  interval_.disarm();
  pause_.disarm();
  sending_.cancel();
  pool_.clear();
  size_t lost = std::exchange(filling_, Batch()).count;
  for (const Batch& batch : waiting_) lost += batch.count;
  waiting_.clear();
  if (lost > 0) count("dropped", lost);
  lost += std::exchange(dropped_, 0);
  if (lost > 0) logger().warn("otel: {} spans were dropped: the worker ends", lost);
}

}  // namespace fairlead::http::otel
