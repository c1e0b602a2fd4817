// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/detached.h"

#include <optional>

#include "core/conf/session_vars.h"
#include "event/loop/child.h"
#include "event/worker.h"
#include "http/h1/parse.h"
#include "http/message/chunks_body.h"
#include "http/request/capture.h"
#include "http/request/client_facts.h"
#include "http/request/client_fields.h"
#include "http/request/handle.h"
#include "http/request/id.h"
#include "http/request/read_body.h"
#include "http/request/secure.h"
#include "http/request/tcp_facts.h"

namespace fairlead::http {

namespace {

constexpr size_t arena_bytes = 4096;

// What one worker has under way.
struct InFlight {
  explicit InFlight(Worker&) {}
  size_t count = 0;
};

// In place of the client's connection: nothing comes, and nobody reads.
class Nobody final : public Transport {
 public:
  explicit Nobody(Watch* watch) : Transport(watch) {}
  ~Nobody() override { watch_->loop().unwatch(watch_); }
  IoResult read(char*, size_t) override { return {IoStatus::again}; }
  IoResult write(const iovec*, int) override { return {IoStatus::failed}; }
  IoResult send_file(int, uint64_t, size_t) override { return {IoStatus::failed}; }
  void shutdown_write() override {}
};

class Detached {
 public:
  Detached(Request& from, DetachedPlan plan, Watch* watch);
  ~Detached() { --in_flight_.count; }
  Detached(const Detached&) = delete;
  Detached& operator=(const Detached&) = delete;
  Request& request() { return *request_; }
  uint64_t timeout_ms() const { return timeout_ms_; }

 private:
  void keep_facts(Request& from);
  void copy_head(const RequestHead& from, std::string_view host);

  InFlight& in_flight_;
  uint64_t timeout_ms_;
  Nobody nobody_;
  Connection connection_;
  ClientFacts facts_;
  std::optional<SecureClient> secure_;
  Addr client_addr_;
  Arena::Owner arena_;
  RequestHead* head_;
  Request* request_;
};

// What is known of the client's connection, which may be gone before the copy ends: held, or as it is now.
void Detached::keep_facts(Request& from) {
  facts_.connection = &connection_;
  facts_.number = from.facts.number;
  facts_.peer = from.facts.peer;
  facts_.local = local_address(from);
  facts_.started_ms = from.facts.started_ms;
  facts_.requests = from.origin().connection_requests;
  facts_.slots.share(from.facts.slots);
  if (auto known = tcp_facts(from)) facts_.slots.use<TcpFacts>() = *known;
  if (from.facts.secure) secure_.emplace(facts_, *from.facts.secure);
}

// Every text moves to this arena.
void Detached::copy_head(const RequestHead& from, std::string_view host) {
  Arena& arena = *arena_;
  std::string_view received = h1::received_head(from);  // the request line stays the beginning of it
  if (received.empty()) received = from.request_line;
  head_->request_line = arena.copy(received).substr(0, from.request_line.size());
  for (std::string_view RequestHead::*text : {&RequestHead::method_text, &RequestHead::target, &RequestHead::protocol,
                                              &RequestHead::request_uri, &RequestHead::path, &RequestHead::args,
                                              &RequestHead::scheme, &RequestHead::host})
    head_->*text = arena.copy(head_->*text);
  Headers copies(arena, static_cast<uint32_t>(from.headers.size() + 1));
  for (const Headers::Field& field : head_->headers) {
    std::string_view value = field.known == KnownHeader::host && !host.empty() ? host : field.value;
    copies.add(field.known, arena.copy(field.name), arena.copy(value));
  }
  head_->headers.adopt(copies);
  if (!host.empty()) head_->host = arena.copy(host);
}

Detached::Detached(Request& from, DetachedPlan plan, Watch* watch)
    : in_flight_(from.worker().state<InFlight>()),
      timeout_ms_(plan.timeout_ms),
      nobody_(watch),
      connection_(nobody_, Side::client),
      facts_(from.worker(), from.generation(), from.facts.listen),
      client_addr_(*from.client_addr),
      arena_(Arena::open(arena_bytes)) {
  ++in_flight_.count;
  keep_facts(from);
  SubrequestPlan what = plan.what;
  what.uri = arena_->copy(what.uri);
  what.args = arena_->copy(what.args);
  what.method_text = arena_->copy(what.method_text);
  Body* body = arena_->make<ChunksBody>(std::move(plan.body));
  what.body_bytes = *body->size();
  what.body = what.body_bytes ? body : nullptr;
  head_ = arena_->make<RequestHead>(*arena_);
  fill_subrequest_head(*head_, from.head, what);
  if (!what.body && from.head.framing.content_length == 0) head_->framing.content_length = 0;  // it says so, and so does its copy
  copy_head(from.head, plan.host);
  Capture* capture = arena_->make<Capture>(connection_, *body, uint64_t{0}, false);
  request_ = arena_->make<Request>(*arena_, *head_, *capture, facts_);
  aim_subrequest(*request_, *from.server, what, facts_.number);
  request_->client_addr = &client_addr_;
  request_->client_fd = -1;
  request_->take_assigned(from);
  give_body(*request_, *body);
  take_dropped_names(*request_, from);
  request_->slot<FramingFields>() = {arena_->copy(from.head.headers.value(KnownHeader::content_length)),
                                     arena_->copy(from.head.headers.joined(KnownHeader::transfer_encoding))};
  set_request_id(*request_, arena_->copy(request_id(from)));
}

Task<Unit> run(std::unique_ptr<Detached> detached) {
  Request& request = detached->request();
  Task<Unit> handling = handle_subrequest(request);
  Deadline<Unit> bounded(request.loop(), std::move(handling), request.loop().deadline(detached->timeout_ms()));
  auto finished = co_await bounded;
  if (!finished) request.logger.info("a detached request to \"{}\" timed out", request.uri);
  co_return Unit();
}

}  // namespace

bool run_detached(Request& request, DetachedPlan plan, size_t in_flight_max) {
  Worker& worker = request.worker();
  if (worker.state<InFlight>().count >= in_flight_max) return false;
  auto detached = std::make_unique<Detached>(request, std::move(plan), worker.loop().watch_memory());
  return worker.detached().spawn(run(std::move(detached)));
}

}  // namespace fairlead::http
