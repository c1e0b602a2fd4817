// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/alpn.h"

#include <cerrno>
#include <memory>
#include <string>
#include <unordered_map>

#include "event/tls/client.h"
#include "event/worker.h"
#include "http/h1/client.h"
#include "http/h2/client.h"
#include "http/h2/pool.h"
#include "http/request/peer_connection.h"

namespace fairlead::http {

constinit const AlpnProtocol alpn_protocol;

namespace {

// What is known of one peer.
struct AlpnChoice {
  explicit AlpnChoice(Loop& loop) : changed(loop) {}
  bool is_http_1 = false;  // chose it when it was last asked
  bool is_asked = false;   // a handshake is on its way that the others wait for
  Event changed;           // it has ended
};

// Of a worker. Choices that nobody asks about may be forgotten: then the next handshake tells again.
class AlpnChoices {
 public:
  explicit AlpnChoices(Worker& worker) : loop_(worker.loop()) {}
  std::shared_ptr<AlpnChoice> of(std::string_view key) {
    auto found = all_.find(std::string(key));
    if (found != all_.end()) return found->second;
    if (all_.size() >= choices_max) all_.erase(all_.begin());
    return all_.emplace(std::string(key), std::make_shared<AlpnChoice>(loop_)).first->second;
  }

 private:
  static constexpr size_t choices_max = 1024;
  Loop& loop_;
  std::unordered_map<std::string, std::shared_ptr<AlpnChoice>> all_;
};

// The right to ask; while it lasts, the others wait.
class Asking {
 public:
  explicit Asking(std::shared_ptr<AlpnChoice> choice) : choice_(std::move(choice)) {
    choice_->is_asked = true;
    choice_->changed.reset();
  }
  ~Asking() {
    choice_->is_asked = false;
    choice_->changed.set();
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

 private:
  std::shared_ptr<AlpnChoice> choice_;
};

constexpr Error timed_out{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};

// A connection of its own; what it turns out to be is noted in `choice`.
Task<Result<PeerExchange*>> open_new(PeerCall call, AlpnChoice& choice, uint64_t deadline_ms) {
  auto connected = co_await connect_peer(call, deadline_ms);
  if (!connected) co_return connected.error();
  choice.is_http_1 = (*connected)->connection.transport().alpn() != "h2";
  if (choice.is_http_1) co_return h1::client_protocol.make(call, std::move(*connected));
  h2::StreamLease lease = call.worker.state<h2::PeerPool>().adopt(call.target, std::move(*connected));
  if (!lease) co_return Error{Fault::closed, Side::upstream, 0, "upstream prematurely closed connection"};
  co_return co_await h2::client_protocol.open_on(std::move(lease), call, deadline_ms);
}

}  // namespace

PeerExchange* AlpnProtocol::try_open(const PeerCall& call) const {
  PeerExchange* shared = h2::client_protocol.try_open(call);
  return shared ? shared : h1::client_protocol.try_open(call);
}

Task<Result<PeerExchange*>> AlpnProtocol::open(PeerCall call, uint64_t deadline_ms) const {
  if (call.target.connect.tls->questions) co_return h2::unasked_error();
  h2::PeerPool& pool = call.worker.state<h2::PeerPool>();
  std::shared_ptr<AlpnChoice> choice = call.worker.state<AlpnChoices>().of(call.target.key.text);
  if (call.target.is_fresh && !pool.is_full(call.target)) co_return co_await open_new(call, *choice, deadline_ms);
  for (;;) {
    h2::StreamLease lease = pool.try_lease(call.target);
    if (lease) co_return co_await h2::client_protocol.open_on(std::move(lease), call, deadline_ms);
    if (choice->is_http_1) co_return co_await open_new(call, *choice, deadline_ms);
    if (pool.is_full(call.target) || pool.is_settling(call.target)) co_return co_await h2::client_protocol.open(call, deadline_ms);
    if (!choice->is_asked) break;
    WaitStatus status = co_await choice->changed.wait(deadline_ms);
    if (status == WaitStatus::timeout) co_return timed_out;
  }
  Asking asking(choice);
  co_return co_await open_new(call, *choice, deadline_ms);
}

}  // namespace fairlead::http
