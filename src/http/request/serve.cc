// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/serve.h"

#include <unistd.h>

#include <algorithm>

#include "core/conf/error_log.h"
#include "http/conf/core_conf.h"
#include "http/h1/server.h"
#include "http/request/client_facts.h"
#include "http/request/handle.h"
#include "http/request/secure.h"

namespace fairlead::http {

namespace {

// How long a drain leaves a new connection for its first request, milliseconds: the client may have sent it already.
constexpr uint64_t first_request_ms = 1000;

// What the HTTP/1 loop needs of the engine, for one connection. Lies in the serve frame.
class Sink final : public h1::RequestSink {
 public:
  Sink(ClientFacts& client_facts, Connection& client) : facts_(client_facts), client_(client) { idle_.watch = &client.watch(); }

  ~Sink() {
    if (is_idle_) count(facts_.worker.row().waiting, false);
  }

  Task<Unit> handle(Request& request) override { return http::handle(request, prepare(request)); }
  Task<Unit> refuse(Request& request, const h1::ParseError& error) override {
    request.server = facts_.listen.hosts.default_server;
    request.enter(*request.server->root);
    request.logger = Logger(*conf<ErrorLogConf>(request).log, facts_.number, &request);
    if (error.detail.empty()) request.logger.info("{}", error.what);
    else request.logger.info("{}: \"{}\"", error.what, error.detail);
    return http::handle(request, Verdict::status(error.status));
  }
  ClientFacts& facts() override { return facts_; }
  void reading(bool begins) override { count(facts_.worker.row().reading, begins); }
  void idle(bool begins) override {
    is_idle_ = begins;
    count(facts_.worker.row().waiting, begins);
    if (!begins) {
      idle_.unlink();
      return;
    }
    idle_.since_ms = client_.loop().now_ms();
    idle_.min_timeout_ms = conf<CoreConf>(*facts_.listen.hosts.default_server->block).keepalive_min_timeout.ms;
    // A connection without a request yet has been promised one answer, successor or not.
    uint64_t& min_ms = idle_.min_timeout_ms;
    if (facts_.requests == 0) min_ms = std::max(min_ms == UINT64_MAX ? 0 : min_ms, first_request_ms);
    facts_.worker.client_idle(idle_);
  }
  bool is_draining() const override { return facts_.worker.is_draining(); }
  uint64_t idle_deadline_ms() const override { return facts_.worker.idle_deadline_ms(idle_); }

 private:
  ClientFacts& facts_;
  Connection& client_;
  static void count(std::atomic<uint64_t>& value, bool begins) {
    if (begins) add_to(value);
    else take_from(value);
  }
  IdleClient idle_;
  bool is_idle_ = false;
};

struct CountedConnection {
  Worker& worker;
  explicit CountedConnection(Worker& w) : worker(w) {
    worker.connection_opened();
    add_to(worker.row().handled);
    add_to(worker.row().active);
  }
  ~CountedConnection() {
    worker.connection_closed();
    take_from(worker.row().active);
  }
};

}  // namespace

// From accept to close: the connection itself, what modules do before any protocol, the protocol.
Task<Unit> HttpServer::serve(Accepted accepted) {
  add_to(worker_.row().accepted);
  auto watch = worker_.loop().watch(accepted.fd, PollMode::edge);
  if (!watch) {
    accept_failed(watch.error());
    close(accepted.fd);
    co_return Unit();
  }
  CountedConnection counted(worker_);
  const ListenAddress& address = group_.address_of(accepted.fd);
  if (accepted.peer.is_ip() && conf<CoreConf>(*address.hosts.default_server->block).tcp_nodelay) set_nodelay(accepted.fd);
  (*watch)->set_ready(Direction::write, true);
  Connection client(*watch, Side::client);
  ClientFacts facts(worker_, worker_.generation(), address);
  facts.connection = &client;
  facts.number = worker_.next_connection_number();
  facts.peer = std::move(accepted.peer);
  facts.started_ms = worker_.loop().now_ms();

  if (!address.hooks.empty()) {
    bool goes_on = co_await run_connection_hooks(facts);
    if (!goes_on) co_return Unit();
  }

  Sink sink(facts, client);
  std::unique_ptr<SecureClient> secure;  // outlives the use of `facts`, not the connection
  if (address.is_secure) {
    secure = std::make_unique<SecureClient>(facts);
    bool is_open = co_await secure->open(client, sink);
    if (!is_open) co_return Unit();
  }
  co_await h1::serve(client, address.hosts.default_server->h1_rules, sink);
  co_return Unit();
}

void HttpServer::accept_failed(const Error& error) {
  Logger(*conf<ErrorLogConf>(worker_.generation().root()).log).alert(Errno{error.sys}, "{}", error.what);
}

}  // namespace fairlead::http
