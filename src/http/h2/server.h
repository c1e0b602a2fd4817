// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HTTP/2 towards clients: one connection, its streams, their requests. Each request is a child of the connection's nursery and lives
// in an arena of its own. The connection ends in two steps (announce_shutdown, go_away), so that no request is lost: what the client sent
// before it knew is still served.
#pragma once

#include "event/loop/nursery.h"
#include "event/worker.h"
#include "http/h2/rules.h"
#include "http/h2/server_stream.h"
#include "http/h2/session.h"
#include "http/request/sink.h"

namespace fairlead::http::h2 {

// The first bytes of a client that speaks HTTP/2 (RFC 9113 section 3.4).
constexpr std::string_view client_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

class ServerConnection final : public SessionEvents {
 public:
  // All outlive it.
  ServerConnection(Connection& client, const ServerRules& rules, RequestSink& sink);
  ~ServerConnection();

  // Serves until the connection ends; what is left to do then is to close it. Gives whether the client may still be sending.
  Task<bool> run();

  Session& session() { return session_; }
  const ServerRules& rules() const { return rules_; }
  const HostRules* host_rules() const { return sink_.facts().listen.hosts.host_rules(); }
  // No further requests are wanted: says so, and ends when those under way are answered.
  void begin_shutdown();

 private:
  enum class Shutdown : uint8_t { none, announced, final };
  struct Alert : Resumable {
    explicit Alert(ServerConnection& owner)
        : Resumable([](Resumable& r) { static_cast<Alert&>(r).connection.worker_drains(); }), connection(owner) {}
    ServerConnection& connection;
  };
  class Serving;

  // SessionEvents
  Stream* open() override;
  void filled() override { begin_requests(); }
  void refused(Stream& stream) override;
  void pong() override { ponged_ = true; }

  Task<Unit> serve(Arena::Owner arena, ServerStream* stream);
  // An idle connection has its time (keepalive_min_timeout) first.
  void worker_drains() {
    if (!is_idle_) begin_shutdown();
  }
  Session::ReadEnd take_in();
  void note_begun();
  void begin_requests();
  void answer_at_once();
  void break_heads();
  void request_ended();
  void wait_idle();
  void leave_idle();
  uint64_t deadline_ms() const;
  bool on_timeout();
  void finish_shutdown();
  void tell(std::string_view what) { sink_.broken(what, "processing HTTP/2 connection"); }

  Connection& client_;
  const ServerRules& rules_;
  RequestSink& sink_;
  Session session_;
  List<ServerStream::Opening> opening_;
  size_t serving_ = 0;             // requests under way
  bool is_idle_ = false;
  bool ended_ = false;             // only waits for its requests
  bool is_half_closed_ = false;    // the client sends no more: what cannot be answered at once is given up
  bool ponged_ = false;
  Shutdown shutdown_ = Shutdown::none;
  uint64_t idle_until_ms_ = 0;     // while idle; 0: no limit
  uint64_t head_until_ms_ = 0;     // of a head that has begun; 0: none
  uint64_t shutdown_until_ms_ = 0; // while announced
  Alert alert_;
  DrainAlert drain_;
  Nursery requests_;
};

// Serves `client`, which begins (or has begun) with the preface.
Task<Unit> serve(Connection& client, const ServerRules& rules, RequestSink& sink);

}  // namespace fairlead::http::h2
