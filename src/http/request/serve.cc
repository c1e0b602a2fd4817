// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/serve.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include "core/conf/error_log.h"
#include "event/events_conf.h"
#include "http/conf/core_conf.h"
#include "http/h1/server.h"
#include "http/h2/server.h"
#include "http/request/client_facts.h"
#include "http/request/handle.h"
#include "http/request/phase.h"
#include "http/request/secure.h"

namespace fairlead::http {

namespace {

void log_fault(Request& request, const HeadFault& fault) {
  std::string_view line = request.is_pipelined ? "reading client pipelined request line" : "reading client request line";
  While doing(request, fault.in_request_line ? line : std::string_view("reading client request headers"));
  if (fault.detail.empty()) request.logger.info(Errno{fault.sys}, "{}", fault.what);
  else request.logger.info("{}: \"{}\"", fault.what, fault.detail);
}

// For lines that name the client themselves, or none.
Logger bare_logger(const ClientFacts& facts) { return facts.logger().with(nullptr); }

// What the HTTP/1 loop needs of the engine, for one connection. Lies in the serve frame.
class Sink final : public RequestSink {
 public:
  Sink(ClientFacts& client_facts, Connection& client) : facts_(client_facts), client_(client) {
    idle_.watch = &client.watch();
    idle_.min_timeout_ms = conf<CoreConf>(*facts_.listen.hosts.default_server->block).keepalive_min_timeout.ms;
  }

  ~Sink() {
    if (is_idle_) count(facts_.worker.row().waiting, false);
  }

  bool begin(Request& request, Verdict& verdict, Task<Verdict>& rest) override {
    verdict = prepare(request);
    return !verdict.is_next() || try_phases(request, nullptr, verdict, rest);
  }
  bool refuse(Request& request, const HeadFault& error, Verdict& verdict, Task<Verdict>&) override {
    begin_refused(request, error);
    log_fault(request, error);
    const Exchange& exchange = request.exchange;
    const bool has_left = exchange.is_broken() && exchange.error().fault != Fault::malformed;
    request.fail_reason = error.sys == ETIMEDOUT ? "SI" : has_left ? "DC" : "DPE";
    request.response.head.status = error.status;
    verdict = exchange.is_broken() ? Verdict::close() : Verdict::status(error.status);
    return true;
  }
  ClientFacts& facts() override { return facts_; }
  void reading(bool begins) override { count(facts_.worker.row().reading, begins); }
  void broken(std::string_view reason, std::string_view doing) override {
    facts_.doing = doing;
    facts_.logger().info("{}", reason);
    facts_.doing = {};
  }
  void ended() override {
    if (facts_.requests == 0) return broken("client closed connection", "waiting for request");
    Logger logger = bare_logger(facts_);
    if (logger.enabled(LogLevel::info)) logger.info("client {} closed keepalive connection", facts_.peer.host_text());
  }
  void idle(bool begins) override {
    is_idle_ = begins;
    count(facts_.worker.row().waiting, begins);
    if (!begins) {
      idle_.unlink();
      return;
    }
    idle_.since_ms = client_.loop().now_ms();
    idle_.is_new = facts_.requests == 0 && !facts_.is_begun;
    if (facts_.requests != 0) idle_.makes_room = false;  // a request came while it was to end
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

enum class Protocol : uint8_t { h1, h2 };

// Which protocol a client begins with on an address that takes both in the clear, within client_header_timeout. Nothing: it did not, and
// the connection is over.
Task<std::optional<Protocol>> begun_protocol(Connection& client, const h1::ServerRules& rules, RequestSink& sink) {
  uint64_t deadline = client.loop().deadline(rules.header_timeout_ms);
  if (client.unread().empty()) {
    sink.idle(true);
    WaitStatus status = co_await client.readable(std::min(deadline, sink.idle_deadline_ms()));
    sink.idle(false);
    if (!goes_on_after(status, client, rules.header_buffer_bytes)) co_return std::nullopt;
  }
  for (;;) {
    std::string_view begin = client.unread().substr(0, h2::client_preface.size());
    if (begin == h2::client_preface) co_return Protocol::h2;
    if (!h2::client_preface.starts_with(begin)) co_return Protocol::h1;
    IoResult result = client.fill(rules.header_buffer_bytes);
    if (result.status == IoStatus::ok) continue;
    if (result.status != IoStatus::again) co_return Protocol::h1;
    WaitStatus status = co_await client.readable(deadline);
    if (status == WaitStatus::ready) continue;
    if (!begin.empty()) sink.broken("client timed out", "reading client request line");
    co_return std::nullopt;
  }
}

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

bool is_debugged(Worker& worker, const Addr& peer) {
  const std::vector<Cidr>& networks = conf<EventsConf>(worker.generation().root()).debug_connection;
  return !networks.empty() && std::any_of(networks.begin(), networks.end(), [&](const Cidr& network) { return network.contains(peer); });
}

void debug_accept(const ClientFacts& facts, int fd) {
  Logger logger = bare_logger(facts);
  if (logger.enabled(LogLevel::debug)) logger.debug("accept: {} fd:{}", facts.peer.text(), fd);
}

}  // namespace

// What comes before the first request where an address asks for it: hooks of modules, TLS, the choice of a protocol. Nothing: the
// connection is over. A frame of its own, gone before the connection idles.
static Task<std::optional<Protocol>> open_client(ClientFacts& facts, Sink& sink, std::unique_ptr<SecureClient>& secure) {
  const ListenAddress& address = facts.listen;
  Connection& client = *facts.connection;
  if (!address.hooks.empty()) {
    bool goes_on = co_await run_connection_hooks(facts);
    if (!goes_on) co_return std::nullopt;
  }
  if (address.is_secure) {
    secure = std::make_unique<SecureClient>(facts);
    bool is_open = co_await secure->open(client, sink);
    if (!is_open) co_return std::nullopt;
  }
  if (facts.alpn == "h2") co_return Protocol::h2;
  if (address.is_secure || !address.speaks_h2()) co_return Protocol::h1;
  co_return co_await begun_protocol(client, address.hosts.default_server->h1_rules, sink);
}

static bool needs_opening(const ListenAddress& address) { return !address.hooks.empty() || address.is_secure || address.speaks_h2(); }

static Task<Unit> serve_requests(Protocol protocol, Connection& client, const SecureClient* secure, Sink& sink) {
  const Server& server = secure ? secure->server() : *sink.facts().listen.hosts.default_server;
  return protocol == Protocol::h2 ? h2::serve(client, server.h2_rules, sink) : h1::serve(client, server.h1_rules, sink);
}

// nullptr: the descriptor is closed, and the log says why.
Watch* HttpServer::watch_accepted(const Accepted& accepted, const ListenAddress& address) {
  auto watch = worker_.loop().watch(accepted.fd, PollMode::edge);
  if (!watch) {
    accept_failed(watch.error());
    close(accepted.fd);
    return nullptr;
  }
  if (accepted.peer.is_ip() && conf<CoreConf>(*address.hosts.default_server->block).tcp_nodelay) set_nodelay(accepted.fd);
  (*watch)->set_ready(Direction::write, true);
  return *watch;
}

// From accept to close. Its frame lives as long as the connection: what is only needed at the beginning has frames of its own.
Task<Unit> HttpServer::serve(Accepted accepted) {
  add_to(worker_.row().accepted);
  const ListenAddress& address = group_.address_of(accepted.fd);
  Watch* watch = watch_accepted(accepted, address);
  if (!watch) co_return Unit();
  Connection client(watch, Side::client);
  CountedConnection counted(worker_);  // ends first: who sees the end of a connection finds it counted no more, whichever worker is asked
  ClientFacts facts(worker_, worker_.generation(), address);
  facts.connection = &client;
  facts.number = worker_.next_connection_number();
  facts.peer = std::move(accepted.peer);
  facts.started_ms = worker_.loop().now_ms();
  facts.is_debugged = is_debugged(worker_, facts.peer);
  debug_accept(facts, accepted.fd);

  Sink sink(facts, client);
  std::unique_ptr<SecureClient> secure;  // outlives the use of `facts`, not the connection
  std::optional<Protocol> protocol = Protocol::h1;
  if (needs_opening(address)) protocol = co_await open_client(facts, sink, secure);
  if (!protocol) co_return Unit();
  co_await serve_requests(*protocol, client, secure.get(), sink);
  bare_logger(facts).debug("close http connection: {}, requests: {}", accepted.fd, facts.requests);
  co_return Unit();
}

void HttpServer::accept_failed(const Error& error) {
  Logger logger(*conf<ErrorLogConf>(worker_.generation().root()).log);
  if (error.fault != Fault::exhausted) return logger.alert(Errno{error.sys}, "{}", error.what);
  // As long as it lasts it is tried several times a second.
  constexpr uint64_t complaint_interval_ms = 1000;
  if (worker_.loop().now_ms() < next_complaint_ms_) return;
  next_complaint_ms_ = worker_.loop().now_ms() + complaint_interval_ms;
  logger.crit(Errno{error.sys}, "{}", error.what);
}

}  // namespace fairlead::http
