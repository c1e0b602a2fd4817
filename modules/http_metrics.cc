// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `metrics`: what requests and tries came to, counted in the log phase into the registry of the generation, and the directive that shows
// it. Nothing is counted in a configuration that shows no metrics. The texts are http/request/metrics_text.h.
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/template.h"
#include "event/worker.h"
#include "http/conf/location.h"
#include "http/hooks.h"
#include "http/request/audit.h"
#include "http/request/metrics_text.h"

namespace fairlead {
namespace http_metrics {
namespace {

using http::Request;
using http::Server;
using http::TryRecord;
using http::Verdict;

constexpr uint64_t default_series_max = 10'000;
constexpr uint64_t series_max_limit = 1'000'000;

struct MetricsConf {
  uint64_t series_max = default_series_max;
  // Of the main part: the families, once declared.
  FamilyId requests = 0, request_time = 0, received = 0, sent = 0;
  FamilyId tries = 0, failures = 0, retries = 0, header_time = 0, peer_sent = 0, peer_received = 0;
  FamilyId calls = 0;
  Template grpc_status;  // $grpc_status
};

constexpr std::string_view server_labels[] = {"server"};
constexpr std::string_view server_class_labels[] = {"server", "class"};
constexpr std::string_view peer_labels[] = {"upstream", "peer"};
constexpr std::string_view peer_class_labels[] = {"upstream", "peer", "class"};
constexpr std::string_view reason_labels[] = {"upstream", "reason"};
constexpr std::string_view call_labels[] = {"service", "method", "code"};
constexpr std::string_view peer_reason_labels[] = {"upstream", "peer", "reason"};

struct Row {
  FamilyId MetricsConf::*id;
  MetricFamily family;
};
constexpr Row families[] = {
    {&MetricsConf::requests,
     {"fairlead_http_requests", MetricKind::counter, "Requests by server and class of the status.", server_class_labels}},
    {&MetricsConf::request_time,
     {"fairlead_http_request_time_ms", MetricKind::histogram, "From the first byte of a request to its log.", server_labels}},
    {&MetricsConf::received, {"fairlead_http_received_bytes", MetricKind::counter, "Bytes of requests.", server_labels}},
    {&MetricsConf::sent, {"fairlead_http_sent_bytes", MetricKind::counter, "Bytes of responses.", server_labels}},
    {&MetricsConf::tries, {"fairlead_upstream_tries", MetricKind::counter, "Tries by peer and class of the status.", peer_class_labels}},
    {&MetricsConf::failures,
     {"fairlead_upstream_failures", MetricKind::counter, "Tries that got no whole reply, by reason.", peer_reason_labels}},
    {&MetricsConf::retries,
     {"fairlead_upstream_retries", MetricKind::counter, "Tries after another one, by the reason that one failed.", reason_labels}},
    {&MetricsConf::header_time,
     {"fairlead_upstream_header_time_ms", MetricKind::histogram, "From the start of a try to the head of the reply.", peer_labels}},
    {&MetricsConf::peer_sent, {"fairlead_upstream_sent_bytes", MetricKind::counter, "Bytes sent to the peer.", peer_labels}},
    {&MetricsConf::peer_received, {"fairlead_upstream_received_bytes", MetricKind::counter, "Bytes received from the peer.", peer_labels}},
    {&MetricsConf::calls,
     {"fairlead_grpc_calls", MetricKind::counter,
      "gRPC calls by grpc-status, and by service and method once a peer has answered such a call.", call_labels}},
};

constexpr std::string_view other = "other";  // every label of what is beyond metrics_max_series
constexpr uint64_t grpc_unimplemented = 12, grpc_code_max = 16;
constexpr size_t method_bytes_max = 256;  // with the service: a longer one is counted as "other"
constexpr size_t class_count = 6;
constexpr std::string_view class_names[class_count] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
size_t class_of(unsigned status) { return status >= 100 && status < 600 ? status / 100 : 0; }

// The series of a server or a peer, looked up once. Those of a class are made when it first occurs.
struct ByClass {
  Counter counters[class_count];
  bool made[class_count] = {};
};
struct ServerMeters {
  ByClass requests;
  Histogram time;
  Counter received, sent;
};
struct PeerMeters {
  ByClass tries;
  Histogram header_time;
  Counter sent, received;
};

// What this worker counts with.
class Meters {
  // Peers that were counted a moment ago, found without a key; the texts are those of the key in peers_.
  struct Recent {
    std::string_view group, peer;
    PeerMeters* meters = nullptr;
  };
  static constexpr size_t recent_count = 16;

 public:
  explicit Meters(Worker& worker) : metrics_(*worker.generation().metrics), conf_(conf<MetricsConf>(worker.generation().root())) {}

  void count(Request& request) {
    ServerMeters& meters = of(*request.server);
    unsigned status = request.response.head.status;
    size_t index = class_of(status);
    if (!meters.requests.made[index]) [[unlikely]] make(meters.requests, index, conf_.requests, {request.server->name});
    metrics_.add(meters.requests.counters[index]);
    metrics_.observe(meters.time, static_cast<double>(request.loop().now_ms() - request.started_ms));
    metrics_.add(meters.received, request.head.bytes + request.exchange.received_body_bytes());
    metrics_.add(meters.sent, request.exchange.sent_bytes());
    if (request.head.headers.value(http::KnownHeader::content_type).starts_with("application/grpc")) [[unlikely]] count_call(request);
    count_tries(request);
  }

  // Of a subrequest all there is to count: the request is the client's.
  void count_tries(const Request& request) {
    for (const TryRecord* record = request.tries; record; record = record->next) count(*record);
  }

 private:
  // A client may name any method. Only those that a peer knows have series of their own: names of
  // others could fill all room for series.
  void count_call(Request& request) {
    std::string_view text = conf_.grpc_status.evaluate(request);
    std::optional<uint64_t> code = parse_decimal(text);
    std::string_view code_label = text.empty() ? "none" : !code || *code > grpc_code_max || text.size() > 2 ? other : text;
    std::string_view path = request.head.path;
    size_t slash = path.rfind('/');
    bool names_method = slash != std::string_view::npos && slash > 0 && path.size() <= method_bytes_max;
    key_.assign(names_method ? path : std::string_view());
    bool is_known = names_method && methods_.contains(key_);
    bool is_answered = request.response.is_reply && code && *code != grpc_unimplemented;
    if (!is_known && names_method && is_answered && methods_.size() < conf_.series_max) is_known = methods_.insert(key_).second;
    std::string_view service = is_known ? path.substr(1, slash - 1) : other, method = is_known ? path.substr(slash + 1) : other;
    metrics_.add(metrics_.counter(conf_.calls, {service, method, code_label}));
  }

  void count(const TryRecord& record) {
    PeerMeters& meters = of(record);
    size_t index = class_of(record.status);
    if (!meters.tries.made[index]) [[unlikely]] make(meters.tries, index, conf_.tries, {record.group, record.peer});
    metrics_.add(meters.tries.counters[index]);
    metrics_.add(meters.sent, record.sent_bytes);
    metrics_.add(meters.received, record.received_bytes);
    if (record.header_ms >= 0) metrics_.observe(meters.header_time, static_cast<double>(record.header_ms));
    std::string_view reason = record.reason.empty() ? "status" : record.reason;
    if (!record.reason.empty()) metrics_.add(metrics_.counter(conf_.failures, {record.group, record.peer, record.reason}));
    if (record.next && !record.next->new_group) metrics_.add(metrics_.counter(conf_.retries, {record.group, reason}));
  }

  // The series of a class. `first`: the labels before it.
  void make(ByClass& series, size_t index, FamilyId family, std::initializer_list<std::string_view> first) {
    std::string_view labels[3];
    size_t count = 0;
    for (std::string_view label : first) labels[count++] = label;
    labels[count++] = class_names[index];
    series.counters[index] = metrics_.counter(family, std::span<const std::string_view>(labels, count));
    series.made[index] = true;
  }

  ServerMeters& of(const Server& server) {
    if (last_server_ == &server) return *last_server_meters_;
    auto [found, fresh] = servers_.try_emplace(&server);
    ServerMeters& meters = found->second;
    if (fresh) {
      meters.time = metrics_.histogram(conf_.request_time, {server.name});
      meters.received = metrics_.counter(conf_.received, {server.name});
      meters.sent = metrics_.counter(conf_.sent, {server.name});
    }
    last_server_ = &server;
    last_server_meters_ = &meters;
    return meters;
  }

  PeerMeters& of(const TryRecord& record) {
    Recent& recent = recent_[record.peer.empty() ? 0 : static_cast<unsigned char>(record.peer.back()) % recent_count];
    bool is_known = recent.meters && equal_short(recent.peer, record.peer) && equal_short(recent.group, record.group);
    return is_known ? *recent.meters : find(record, recent);
  }

  // Of all peers that there is no room for, each of which has the series "other" anyway: a client that may name peers could else fill the
  // memory with them.
  PeerMeters& others() {
    if (others_) return *others_;
    others_.emplace();
    others_->header_time = metrics_.histogram(conf_.header_time, {other, other});
    others_->sent = metrics_.counter(conf_.peer_sent, {other, other});
    others_->received = metrics_.counter(conf_.peer_received, {other, other});
    for (Counter& counter : others_->tries.counters) counter = metrics_.counter(conf_.tries, {other, other, other});
    for (bool& made : others_->tries.made) made = true;
    return *others_;
  }

  // By the key. Made at the first occurrence while there is room.
  PeerMeters& find(const TryRecord& record, Recent& recent) {
    key_.assign(record.group);
    key_ += '\n';
    key_ += record.peer;
    auto found = peers_.find(key_);
    if (found == peers_.end()) {
      if (peers_.size() >= conf_.series_max) return others();
      PeerMeters fresh;
      fresh.header_time = metrics_.histogram(conf_.header_time, {record.group, record.peer});
      fresh.sent = metrics_.counter(conf_.peer_sent, {record.group, record.peer});
      fresh.received = metrics_.counter(conf_.peer_received, {record.group, record.peer});
      found = peers_.emplace(key_, fresh).first;
    }
    std::string_view key = found->first;
    recent = {key.substr(0, record.group.size()), key.substr(record.group.size() + 1), &found->second};
    return found->second;
  }

  Metrics& metrics_;
  const MetricsConf& conf_;
  const Server* last_server_ = nullptr;
  ServerMeters* last_server_meters_ = nullptr;
  std::unordered_map<const Server*, ServerMeters> servers_;
  std::unordered_map<std::string, PeerMeters> peers_;  // at most conf_.series_max
  std::unordered_set<std::string> methods_;             // paths of gRPC calls that peers have answered; likewise
  std::optional<PeerMeters> others_;
  std::string key_;  // its memory is used again
  Recent recent_[recent_count];
};

Verdict count_request(Request& request) {
  const Metrics* metrics = request.worker().generation().metrics.get();
  if (!metrics || !metrics->is_open() || !request.server) return Verdict::next();
  Meters& meters = request.worker().state<Meters>();
  if (request.is_subrequest) meters.count_tries(request);
  else meters.count(request);
  return Verdict::next();
}

Task<Verdict> answer(Request& request) {
  if (request.method != http::Method::get && request.method != http::Method::head) co_return Verdict::status(405);
  http::set_metrics_text(request, http::exposition_named(request.head.headers).value_or(ExpositionFormat::prometheus));
  co_return Verdict::respond();
}

ConfResult<Unit> set_metrics(Line& line, MetricsConf&) {
  http::set_content(line, answer);
  line.generation().wants_metrics = true;
  return Unit();
}

ConfResult<Unit> set_series_max(Line& line, MetricsConf&) {
  uint64_t most = 0;
  FL_TRY(ConfValue<uint64_t>::parse(line, most));
  if (most == 0 || most > series_max_limit) return line.invalid_value(1);
  own_conf<MetricsConf>(*line.block().enclosing(in_main)).series_max = most;
  return Unit();
}

// The registry exists if something shows it.
ConfResult<Unit> make_registry(Generation& generation) {
  if (!generation.wants_metrics) return Unit();
  MetricsConf& own = conf<MetricsConf>(generation.root());
  generation.metrics = std::make_unique<Metrics>(MetricLimits{.series_max = static_cast<uint32_t>(own.series_max)});
  for (const Row& row : families) {
    auto added = generation.metrics->add(row.family);
    if (!added) return added.error();
    own.*row.id = *added;
  }
  auto status = Template::compile("$grpc_status", generation.variables(http_variable), Place());
  if (!status) return status.error();
  own.grpc_status = std::move(*status);
  FL_TRY(http::declare_audit(generation));
  return generation.metrics->declare(generation.zones);
}

constexpr Directive rows[] = {
    custom<set_metrics, MetricsConf>("metrics", in_server | in_location, words(0),
                                     "Answers with all metrics: Prometheus text, or OpenMetrics if Accept names it."),
    custom<set_series_max, MetricsConf>("metrics_max_series", in_http, words(1),
                                        "How many series there may be; what is beyond is counted as \"other\". Default 10000. "
                                        "A reload that changes it begins all counts of requests and upstreams anew.")
        .takes("number"),
};

constexpr http::PhaseEntry phases[] = {{.phase = http::Phase::log, .check = count_request, .sees_subrequests = true}};
constexpr http::Hooks http_hooks = {.phases = phases};

}  // namespace
}  // namespace http_metrics

extern constinit const Module http_metrics_module = {
    .name = "http_metrics",
    .conf = conf_of<http_metrics::MetricsConf>,
    .directives = http_metrics::rows,
    .generation = http_metrics::make_registry,
    .http = &http_metrics::http_hooks,
};

}  // namespace fairlead
