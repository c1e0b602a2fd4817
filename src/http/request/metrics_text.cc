// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/metrics_text.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "event/net/upstreams.h"
#include "event/tls/hot.h"
#include "http/request/response.h"

namespace fairlead::http {

namespace {

// One element of Accept (RFC 9110 section 12.5.1), as far as it is of the exposition's media type.
struct Wish {
  unsigned weight = 0;    // in thousandths; 0: it is not, or unwanted
  bool is_named = false;  // text/plain alone is what anybody sends
};

}  // namespace

static Wish wish_of(std::string_view element, ExpositionFormat format) {
  Splitter parts(element, ';');
  parts.trimmed();
  std::string_view part;
  if (!parts.next(part)) return {};
  bool openmetrics = format == ExpositionFormat::openmetrics;
  if (!equal_nocase(part, openmetrics ? "application/openmetrics-text" : "text/plain")) return {};
  Wish wish{1000, openmetrics};
  while (parts.next(part)) {
    if (equal_nocase(part, "version=0.0.4") || equal_nocase(part, "version=\"0.0.4\"")) wish.is_named = true;
    if (starts_with_nocase(part, "q=")) {
      char digits[8] = {};
      part.substr(2).copy(digits, sizeof digits - 1);
      double q = std::strtod(digits, nullptr);
      wish.weight = q > 0 && q <= 1 ? static_cast<unsigned>(q * 1000) : 0;
    }
  }
  return wish;
}

std::optional<ExpositionFormat> exposition_named(const Headers& headers) {
  unsigned best = 0, best_unnamed = 0;
  std::optional<ExpositionFormat> named;
  for (const Headers::Field* field = headers.find(KnownHeader::accept); field; field = headers.next_same(*field)) {
    Splitter elements(field->value, ',');
    elements.trimmed();
    for (std::string_view element; elements.next(element);) {
      for (ExpositionFormat format : {ExpositionFormat::openmetrics, ExpositionFormat::prometheus}) {
        Wish wish = wish_of(element, format);
        if (!wish.is_named) best_unnamed = std::max(best_unnamed, wish.weight);
        if (!wish.is_named || wish.weight <= best) continue;
        best = wish.weight;
        named = format;
      }
    }
  }
  return best_unnamed > best ? std::nullopt : named;
}

namespace {

using Kind = MetricKind;
constexpr std::string_view peer_labels[] = {"upstream", "peer"};

// In the order of ConnectionCounts.
constexpr MetricFamily connection_families[] = {
    {"fairlead_connections_accepted", Kind::counter, "Client connections accepted."},
    {"fairlead_connections_handled", Kind::counter, "Client connections served."},
    {"fairlead_requests", Kind::counter, "Requests received, on all servers."},
    {"fairlead_connections_active", Kind::gauge, "Client connections open."},
    {"fairlead_connections_reading", Kind::gauge, "Connections on which a request head is being received."},
    {"fairlead_connections_writing", Kind::gauge, "Requests being answered."},
    {"fairlead_connections_waiting", Kind::gauge, "Idle client connections."},
};
constexpr MetricFamily peer_up_family = {"fairlead_upstream_peer_up", Kind::gauge,
                                         "Whether the peer may be picked once it has a connection free, as this worker sees it.",
                                         peer_labels};
constexpr MetricFamily peer_tries_family = {"fairlead_upstream_peer_in_flight", Kind::gauge,
                                            "Tries in flight on the peer: of all workers if the upstream has a zone, else of this one.",
                                            peer_labels};

void add_connections(const ConnectionCounts& counts, std::vector<FamilySamples>& to) {
  const uint64_t values[] = {counts.accepted, counts.handled, counts.requests, counts.active,
                             counts.reading,  counts.writing, counts.waiting};
  for (size_t i = 0; i < std::size(connection_families); ++i) {
    const MetricFamily& family = connection_families[i];
    SeriesSample sample;
    if (family.kind == Kind::counter) sample.count = values[i];
    else sample.value = static_cast<double>(values[i]);
    FamilySamples samples;
    samples.family = &family;
    samples.series.push_back(std::move(sample));
    to.push_back(std::move(samples));
  }
}

// One series for all peers of an upstream with the same address: listed twice, or found under two names. Up if one of them is.
void add_peers(Request& request, std::vector<FamilySamples>& to) {
  FamilySamples up, tries;
  up.family = &peer_up_family;
  tries.family = &peer_tries_family;
  std::map<std::pair<std::string_view, std::string_view>, size_t> known;
  Upstreams& upstreams = request.worker().state<Upstreams>();
  for (const auto& group : upstreams_of(request.generation()).groups) {
    Upstream& upstream = upstreams.of(*group);
    upstream.take_edits();
    auto set = upstream.peers.use();
    PeerGuard guard(*set);
    for (const Peer& peer : set->all()) {
      auto [found, is_new] = known.try_emplace({group->name, peer.spec.name}, up.series.size());
      if (is_new) {
        SeriesSample sample;
        sample.label_values = {group->name, peer.spec.name};
        up.series.push_back(sample);
        tries.series.push_back(std::move(sample));
      }
      if (!peer.spec.down && !peer.spec.drain && set->is_well(peer, process_clock.seconds())) up.series[found->second].value = 1;
      tries.series[found->second].value += static_cast<double>(peer.state->conns);
    }
  }
  if (up.series.empty()) return;
  to.push_back(std::move(up));
  to.push_back(std::move(tries));
}

constexpr std::string_view certificate_labels[] = {"subject", "serial"};
constexpr MetricFamily certificate_family = {"fairlead_tls_certificate_end_seconds", Kind::gauge,
                                             "When a certificate in use ends, seconds since 1970, as this worker has it.",
                                             certificate_labels};

void add_certificates(const std::vector<CertificateEnd>& ends, std::vector<FamilySamples>& to) {
  if (ends.empty()) return;
  FamilySamples samples;
  samples.family = &certificate_family;
  for (const CertificateEnd& one : ends) {
    SeriesSample sample;
    sample.label_values = {one.subject, one.serial};
    sample.value = static_cast<double>(one.end_s);
    samples.series.push_back(std::move(sample));
  }
  to.push_back(std::move(samples));
}

}  // namespace

void set_metrics_text(Request& request, ExpositionFormat format) {
  std::vector<FamilySamples> families;
  const Metrics* metrics = request.generation().metrics.get();
  if (metrics && metrics->is_open()) families = metrics->collect();
  add_connections(request.worker().counts(), families);
  add_peers(request, families);
  std::vector<CertificateEnd> ends = certificate_ends(request.generation());
  add_certificates(ends, families);
  std::string text;
  write_families(format, families, text);
  text += exposition_end(format);
  set_text(request, 200, exposition_content_type(format), request.arena().copy(text));
}

}  // namespace fairlead::http
