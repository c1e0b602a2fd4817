// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/tunnel.h"

#include "event/net/pump.h"
#include "http/request/response.h"

namespace fairlead::http {

Task<Verdict> run_tunnel(Request& request, const ForwardPlan& plan, Attempt& attempt, TryRecord& record) {
  Response& response = request.response;
  response.head.status = 101;
  response.head.reason = attempt.head.reason;
  for (const Headers::Field& field : attempt.head.headers) {
    if (field.known == KnownHeader::connection || field.known == KnownHeader::date || field.known == KnownHeader::server ||
        field.known == KnownHeader::keep_alive)
      continue;
    response.head.headers.add(field.known, field.name, field.value);
  }
  response.body = request.arena().make<EmptyBody>();
  Verdict verdict = co_await send(request);
  Connection* tunnel = attempt.tunnel();
  if (request.client().is_broken() || !tunnel) co_return verdict;
  AbortPause until_end(request);
  Connection& client = request.client();
  Connection& peer = *tunnel;
  uint64_t received_before = peer.received_bytes();
  uint64_t last_byte_ms = request.loop().now_ms();
  PumpTimes times{plan.conf.read_timeout, &last_byte_ms};
  Child<Result<Unit>> up, down;
  up.start(pump(client, peer, times));
  down.start(pump(peer, client, times));
  co_await AnyOf(up, down);
  // One side ended its sending; the other may still finish. A failure or idleness ends both.
  bool ended_well = up.is_done() ? static_cast<bool>(up.take()) : static_cast<bool>(down.take());
  if (ended_well && !up.is_done()) (void)co_await up;
  else if (ended_well && !down.is_done()) (void)co_await down;
  record.body_bytes += peer.received_bytes() - received_before;
  client.mark_broken();
  co_return Verdict::done();
}

}  // namespace fairlead::http
