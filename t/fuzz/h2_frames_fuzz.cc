// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Bytes of a client into an HTTP/2 server session over a transport in memory, whole and in pieces: whatever they are, heads are either
// requests or have a fault, and what waits unread stays within the stream's window. The same bytes of a peer to a client's session, with a
// request and a tunnel under way.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "event/net/memory.h"
#include "http/h2/request_head.h"
#include "http/h2/server.h"
#include "http/h2/session.h"

namespace fairlead::http::h2 {
namespace {

constexpr HeadRules head_rules;

// Reads its request whole, then resets or answers without a body, by the parity of what came.
class FuzzStream final : public Stream {
 public:
  explicit FuzzStream(Session& session)
      : Stream(session, Side::client), arena_(Arena::open(1024)), head_(*arena_), reader_(head_, head_rules) {}

  void take_field(std::string_view name, std::string_view value) override {
    if (complete_) {
      if (http::h2::is_malformed(name, value)) fail_message("client sent invalid trailer field");
      return;
    }
    bool is_field = name.empty() || name[0] != ':';
    reader_.take(name, value);
    FL_ASSERT(!is_field || !http::h2::is_malformed(name, value) || reader_.fault().status != 0);
  }
  void take_head(bool ends) override {
    if (complete_) return;
    complete_ = true;
    bool good = reader_.finish(!ends);
    FL_ASSERT(good == (reader_.fault().status == 0));
    if (reader_.is_malformed()) fail_message(reader_.fault().what);
    else if (good && head_.framing.content_length != no_length) require_received(static_cast<uint64_t>(head_.framing.content_length));
    if (good) FL_ASSERT(!head_.request_line.empty() && !head_.host.empty());
  }
  void read() {
    Chunk chunk;
    while (received().poll(chunk) == Poll::ready) FL_ASSERT(chunk.size() > 0);
    if (!complete_ || answered_ || !has_received_all()) return;
    answered_ = true;
    FieldList fields;
    fields.add(":status", "204");
    session().submit_head(*this, fields, false);
  }

 private:
  Arena::Owner arena_;
  RequestHead head_;
  HeadReader reader_;
  bool complete_ = false;
  bool answered_ = false;
};

struct Owner final : SessionEvents {
  Stream* open() override {
    streams.push_back(std::make_unique<FuzzStream>(*session));
    return streams.back().get();
  }
  Session* session = nullptr;
  std::vector<std::unique_ptr<FuzzStream>> streams;
};

// What a peer answers: its body is read as it comes, and what is to be sent goes out as far as the peer lets it.
class FuzzReply final : public Stream {
 public:
  explicit FuzzReply(Session& session) : Stream(session, Side::upstream) { limit_received(UINT64_MAX, 0); }
  void take_field(std::string_view name, std::string_view) override { FL_ASSERT(!name.empty()); }
  void take_head(bool) override { ++heads_; }
  void begin(std::string_view method, bool has_body) {
    FieldList fields;
    fields.add(":method", method);
    fields.add(":scheme", "http");
    fields.add(":path", "/");
    if (has_body) fields.add(":protocol", "websocket");
    FL_ASSERT(session().open(*this, fields, has_body));
    sends_ = has_body;
  }
  void go_on(Body& body) {
    Chunk chunk;
    Poll polled;
    while ((polled = received().poll(chunk)) == Poll::ready) FL_ASSERT(chunk.size() > 0);
    if (polled == Poll::failed) FL_ASSERT(is_closed() && received().error().side == Side::upstream);
    Progress progress = sends_ ? pump(body) : pump_head();
    if (progress == Progress::failed) FL_ASSERT(is_closed());
  }

 private:
  int heads_ = 0;
  bool sends_ = false;
};

struct NoEvents final : SessionEvents {};

// One side of a connection in memory, and the input as what the other one says.
struct Scene {
  std::unique_ptr<Loop> loop = std::move(*Loop::open());
  MemoryPair pair = MemoryPair::make(*loop);

  // In pieces of `step` bytes, until the session has enough; `each` after every piece.
  template <class Each>
  void feed(Session& session, std::string_view input, size_t step, Each&& each) {
    bool over = false;
    for (size_t at = 0; at < input.size() && !over; at += step) {
      std::string_view piece = input.substr(at, step);
      iovec vector{const_cast<char*>(piece.data()), piece.size()};
      pair.b->write(&vector, 1);
      loop->turn(0);
      over = session.read(64 * 1024) != Session::ReadEnd::again;
      each();
    }
  }
};

void feed_client(std::string_view input, size_t step) {
  Scene scene;
  Connection peer(*scene.pair.a, Side::upstream);
  SessionRules rules;
  NoEvents events;
  Session session(Role::client, peer, rules, events);
  FuzzReply reply(session), tunnel(session);
  reply.begin("GET", false);
  tunnel.begin("CONNECT", true);
  EmptyBody none;
  BytesBody bytes{Slice(std::string_view("what a tunnel brings"))};
  scene.feed(session, input, step, [&] {
    FL_ASSERT(std::max(reply.unread_bytes(), tunnel.unread_bytes()) <= rules.stream_window_bytes);
    reply.go_on(none);
    tunnel.go_on(bytes);
  });
  session.lose();
}

void feed_server(std::string_view input, size_t step) {
  Scene scene;
  Connection client(*scene.pair.a, Side::client);
  SessionRules rules;
  rules.streams_max = 8;
  Owner owner;
  Session session(Role::server, client, rules, owner);
  owner.session = &session;
  scene.feed(session, input, step, [&] {
    for (auto& stream : owner.streams) {
      FL_ASSERT(stream->unread_bytes() <= rules.stream_window_bytes);
      stream->read();
    }
    session.send();
  });
  owner.streams.clear();
}

}  // namespace
}  // namespace fairlead::http::h2

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace fairlead::http::h2;
  if (size > 16 * 1024) return 0;
  std::string input = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string("\0\0\0\4\0\0\0\0\0", 9);
  input.append(reinterpret_cast<const char*>(bytes), size);
  feed_server(input, input.size());
  feed_server(input, 7);
  std::string_view of_peer = std::string_view(input).substr(client_preface.size());
  feed_client(of_peer, of_peer.size());
  feed_client(of_peer, 7);
  return 0;
}
