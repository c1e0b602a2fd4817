// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Milestones (a) and (b): the engine without configuration. `forward LISTEN_PORT ORIGIN_PORT` forwards to 127.0.0.1:ORIGIN_PORT,
// `forward LISTEN_PORT` answers itself (echo of the body, or 256 bytes). One process. For the benches and the sanitizer tests of the engine alone.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/base/clock.h"
#include "event/net/acceptor.h"
#include "http/forward/attempt.h"
#include "http/h1/server.h"
#include "http/h1/write.h"

using namespace fairlead;
using namespace fairlead::http;

namespace {

struct Proxy final : ServeAccepted, h1::RequestSink {
  Proxy(Loop& l, uint16_t origin_port) : loop(l), pool(loop, PoolLimits{256, 60000, 1000000, 3600000}) {
    target.address = Addr::inet(0x7f000001, origin_port);
    target.key = PoolKey::of("origin");
    target.pool = &pool;
    has_origin = origin_port != 0;
  }

  Task<Unit> serve(Accepted accepted) override {
    auto watch = loop.watch(accepted.fd, PollMode::edge);
    if (!watch) {
      close(accepted.fd);
      co_return Unit();
    }
    set_nodelay(accepted.fd);
    (*watch)->set_ready(Direction::write, true);
    Connection client(*watch, Side::client);
    co_await h1::serve(client, rules, *this);
    co_return Unit();
  }
  bool has_room() override { return true; }
  void accept_failed(const Error& error) override { std::fprintf(stderr, "[alert] %s: %s\n", error.what, std::strerror(error.sys)); }

  Task<Unit> handle(Request& request) override {
    Task<Unit> work;
    if (has_origin) work = forward(request);
    else work = echo(request);
    bool finished = co_await UntilGone(request, std::move(work));
    if (!finished || !request.exchange.head_sent()) request.client().mark_broken();
    co_return Unit();
  }
  Task<Unit> refuse(Request& request, const h1::ParseError& error) override {
    co_return co_await answer(request, error.status, Slice("bad request\n"));
  }
  Task<Unit> answer(Request& request, unsigned status, Slice text) {
    Outgoing& out = request.response;
    out.head.status = static_cast<uint16_t>(status == 494 ? 400 : status);
    out.head.framing.content_length = static_cast<int64_t>(text.size);
    add_common(out);
    out.body = request.arena.make<BytesBody>(std::move(text));
    if (request.exchange.pump(out) != Progress::done) co_await respond(request.exchange, out);
    co_return Unit();
  }
  Task<Unit> echo(Request& request) {
    if (!request.head.has_body()) co_return co_await answer(request, 200, Slice(std::string_view(filler, 256)));
    Outgoing& out = request.response;
    out.head.status = 200;
    out.head.framing.content_length = request.head.framing.content_length;
    add_common(out);
    out.body = &request.exchange.request_body();
    auto done = co_await respond(request.exchange, out);
    if (!done) request.client().mark_broken();
    co_return Unit();
  }
  void add_common(Outgoing& out) {
    out.head.headers.add(KnownHeader::server, "fairlead/0.1.0");
    out.head.headers.add(KnownHeader::date, process_clock.http_date());
  }

  void build(Request& request, AttemptRequest& what) {
    {
      ChainWriter writer(what.head, 1024);
      writer.write(request.head.method_text);
      writer.write(' ');
      writer.write(request.head.request_uri);
      writer.write(" HTTP/1.1\r\nHost: origin\r\n");
      for (const auto& field : request.head.headers) {
        switch (field.known) {
          case KnownHeader::host: case KnownHeader::connection: case KnownHeader::keep_alive: case KnownHeader::transfer_encoding:
          case KnownHeader::content_length: case KnownHeader::expect: case KnownHeader::upgrade: continue;
          default: break;
        }
        writer.write(field.name);
        writer.write(": ");
        writer.write(field.value);
        writer.write("\r\n");
      }
      if (request.head.framing.chunked) {
        writer.write("Transfer-Encoding: chunked\r\n");
        what.framing = h1::SendFraming::chunked;
      } else if (request.head.framing.content_length > 0) {
        what.framing = h1::SendFraming::length;
        what.length = static_cast<uint64_t>(request.head.framing.content_length);
        writer.write("Content-Length: ");
        writer.write_decimal(what.length);
        writer.write("\r\n");
      }
      writer.write("\r\n");
    }
    what.body = &request.exchange.request_body();
  }

  Task<Unit> forward(Request& request) {
    AbortScope abortable(request);
    AttemptRequest what;
    build(request, what);
    for (int tries = 0; tries < 2; ++tries) {
      Attempt attempt(request, target);
      auto ran = co_await attempt.run(what);
      if (!ran) {
        if (attempt.is_reused() && !attempt.has_answer_bytes() && !request.head.has_body()) continue;
        co_return co_await answer(request, 502, Slice("bad gateway\n"));
      }
      co_return co_await relay(request, attempt);
    }
    co_return co_await answer(request, 502, Slice("bad gateway\n"));
  }
  Task<Unit> relay(Request& request, Attempt& attempt) {
    Outgoing& out = request.response;
    out.head.status = attempt.head.status;
    out.head.framing.content_length = attempt.head.framing.content_length;
    out.head.headers.adopt(attempt.head.headers);
    out.head.headers.set(KnownHeader::server, "fairlead/0.1.0");
    out.head.headers.set(KnownHeader::date, process_clock.http_date());
    out.head.headers.remove(KnownHeader::keep_alive);
    out.head_only = request.head.method == Method::head;
    out.body = &attempt.body();
    if (request.exchange.pump(out) != Progress::done) {
      auto done = co_await respond(request.exchange, out);
      if (!done) request.client().mark_broken();
    }
    co_return Unit();
  }

  Loop& loop;
  ConnPool pool;
  AttemptTarget target;
  h1::ServerRules rules;
  bool has_origin;
  static char filler[256];
};
char Proxy::filler[256];

Loop* the_loop;

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::memset(Proxy::filler, 'x', sizeof Proxy::filler);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, [](int) { the_loop->stop(); });
  signal(SIGINT, [](int) { the_loop->stop(); });
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(argv[1])));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 || listen(fd, 4096) < 0) return std::perror("listen"), 1;
  auto opened = Loop::open();
  if (!opened) return 1;
  Loop& loop = **opened;
  the_loop = &loop;
  {
    Proxy proxy(loop, argc > 2 ? static_cast<uint16_t>(std::atoi(argv[2])) : 0);
    AcceptLimits limits;
    Nursery connections(loop), acceptors(loop);
    acceptors.spawn(accept_loop(loop, fd, connections, limits, proxy));
    loop.run();
    acceptors.cancel();
    connections.cancel();
    proxy.pool.clear();
  }
  close(fd);
  return 0;
}
