// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http::Attempt over memory transports against a peer that answers whole, early, late, cut short, with nonsense or not at all: the outcome
// is what the peer did, no byte of a body is lost, doubled or taken for another exchange's, a connection goes back to the pool exactly if
// its exchange is complete, nothing hangs and nothing is left behind.
#include <charconv>
#include <vector>

#include "event/worker.h"
#include "http/conf/listen.h"
#include "http/forward/attempt.h"
#include "http/h1/client.h"
#include "http/h1/server.h"
#include "http/request/client_facts.h"
#include "t/sim/scene.h"

using namespace fairlead;
using namespace fairlead::http;
using namespace fairlead::sim;

namespace {

constexpr uint64_t limit_ms = 3'600'000;
constexpr std::string_view key_text = "peer";

// What the peer does with one request.
enum class Conduct { whole, early, cut_head, cut_body, reset_head, reset_body, nonsense, silent };
constexpr const char* conduct_names[] = {"answers", "answers early", "closes in the head", "closes in the body", "resets in the head",
                                         "resets in the body", "sends nonsense", "is silent"};

struct Planned {
  uint64_t id = 0;
  Conduct conduct = Conduct::whole;
  h1::SendFraming upload = h1::SendFraming::none;
  std::string upload_body;
  std::string head;        // of the request
  std::string reply;       // all that the peer would send
  size_t reply_head = 0;   // bytes of it up to the end of the final head
  size_t reply_bytes = 0;  // how many it does send
  std::string reply_body;  // decoded
  bool closes = false;     // the reply ends with the connection, or says so
  bool reads_upload = true;
};

// A request body that comes in pieces, with pauses.
class SlowBody final : public Body {
 public:
  SlowBody(Loop& loop, Random& random, std::string_view text, bool sized) : loop_(loop), random_(random), text_(text), sized_(sized) {}
  Poll poll(Chunk& chunk) override {
    if (at_ == text_.size()) return Poll::end;
    if (!paused_ && random_.one_in(3)) {
      paused_ = true;
      return Poll::pending;
    }
    paused_ = false;
    size_t bytes = random_.between(1, text_.size() - at_);
    chunk.clear();
    chunk.bytes = Slice::copy_of(text_.substr(at_, bytes));
    at_ += bytes;
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override {
    co_await Sleep(loop_, random_.between(1, 200));
    co_return Unit();
  }
  std::optional<uint64_t> size() const override { return sized_ ? std::optional<uint64_t>(text_.size() - at_) : std::nullopt; }

 private:
  Loop& loop_;
  Random& random_;
  std::string_view text_;
  bool sized_, paused_ = false;
  size_t at_ = 0;
};

void plan_request(Random& random, Planned& planned) {
  size_t bytes = random.one_in(4) ? random.below(200'000) : random.below(800);
  if (random.one_in(2)) bytes = 0;
  planned.upload_body = pattern(planned.id, bytes);
  std::string fields;
  if (bytes > 0 && random.one_in(2)) {
    planned.upload = h1::SendFraming::chunked;
    fields = "Transfer-Encoding: chunked\r\n";
  } else if (bytes > 0) {
    planned.upload = h1::SendFraming::length;
    fields = format("Content-Length: {}\r\n", bytes);
  }
  planned.head = format("{} /{} HTTP/1.1\r\nHost: sim\r\n{}\r\n", bytes ? "POST" : "GET", planned.id, fields);
}

void plan_reply(Random& random, Planned& planned) {
  std::string interim;
  for (uint64_t i = random.one_in(3) ? random.below(4) : 0; i > 0; --i)
    interim += random.one_in(2) ? "HTTP/1.1 100 Go\r\n\r\n" : "HTTP/1.1 103 E\r\nLink: x\r\n\r\n";
  planned.reply_body = pattern(planned.id + 7, random.one_in(4) ? random.below(150'000) : random.below(500));
  std::string head = "HTTP/1.1 200 OK\r\n";
  std::string body = planned.reply_body;
  uint64_t framing = random.below(5);
  planned.closes = framing == 0 || random.one_in(6);
  if (planned.closes && framing != 0) head += "Connection: close\r\n";
  if (framing == 1 || framing == 2) {
    head += "Transfer-Encoding: chunked\r\n";
    body = chunked(random, planned.reply_body);
  } else if (framing != 0) {
    head += format("Content-Length: {}\r\n", body.size());
  }
  planned.reply = interim + head + "\r\n";
  planned.reply_head = planned.reply.size();
  planned.reply += body;
  planned.reply_bytes = planned.reply.size();
}

// Makes of a good reply what this conduct sends.
void spoil_reply(Random& random, Planned& planned) {
  switch (planned.conduct) {
    case Conduct::cut_head: case Conduct::reset_head: planned.reply_bytes = random.below(planned.reply_head); break;
    case Conduct::cut_body: case Conduct::reset_body: planned.reply_bytes = random.between(planned.reply_head, planned.reply.size()); break;
    case Conduct::nonsense:
      planned.reply = random.one_in(2) ? "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"
                                       : "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
      planned.reply_bytes = planned.reply.size();
      break;
    case Conduct::silent: planned.reply_bytes = 0; break;
    default: break;
  }
}

Planned plan(Random& random, uint64_t id) {
  Planned planned;
  planned.id = id;
  plan_request(random, planned);
  plan_reply(random, planned);
  planned.conduct = random.one_in(2) ? Conduct::whole : static_cast<Conduct>(random.below(8));
  planned.reads_upload = planned.conduct != Conduct::early || !planned.closes || random.one_in(2);  // else no request could follow
  spoil_reply(random, planned);
  return planned;
}

// What arrived of one request, decoded in the simplest possible way.
class ArrivedRequest {
 public:
  // Takes bytes from the front of `stream`. True: the request is whole.
  bool take(std::string& stream) {
    if (head.empty()) {
      size_t end = stream.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      head = stream.substr(0, end + 4);
      stream.erase(0, end + 4);
    }
    if (head.find("chunked") != std::string::npos) return take_chunks(stream);
    size_t bytes = 0, at = head.find("Content-Length: ");
    if (at != std::string::npos) std::from_chars(head.data() + at + 16, head.data() + head.size(), bytes);
    size_t more = std::min(bytes - body.size(), stream.size());
    body += stream.substr(0, more);
    stream.erase(0, more);
    return body.size() == bytes;
  }
  std::string head, body;

 private:
  bool take_chunks(std::string& stream) {
    for (;;) {
      size_t line = stream.find("\r\n"), bytes = 0;
      if (line == std::string::npos) return false;
      std::from_chars(stream.data(), stream.data() + line, bytes, 16);
      if (stream.size() < line + 2 + bytes + 2) return false;
      body += stream.substr(line + 2, bytes);
      stream.erase(0, line + 2 + bytes + 2);
      if (bytes == 0) return true;
    }
  }
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed)
      : random_(seed),
        to_peer_(random_, random_.one_in(4)),
        to_us_(random_, random_.one_in(4)),
        worker_(world_.loop(), empty_generation(), row_),
        facts_{worker_, empty_generation(), listen_},
        pool_(world_.loop(), PoolLimits{}),
        nursery_(world_.loop()) {}

  Outcome run(uint64_t seed) {
    uint64_t count = random_.between(1, 6);
    for (uint64_t id = 1; id <= count; ++id) planned_.push_back(plan(random_, id));
    world_.note("seed {}: {} exchanges", seed, planned_.size());
    nursery_.spawn(all_exchanges());
    world_.run(nursery_, limit_ms);
    nursery_.cancel();
    pool_.clear();
    peer_.reset();
    if (world_.outcome.failure.empty() && world_.loop().watch_count() != 0) world_.fail("a watch is left");
    return std::move(world_.outcome);
  }

 private:
  Task<Unit> all_exchanges() {
    for (Planned& planned : planned_) {
      if (pool_.idle_count() == 0) make_connection();
      co_await exchange(planned);
      if (!world_.outcome.failure.empty()) break;
      if (random_.one_in(4)) co_await Sleep(world_.loop(), random_.below(100));
    }
    pool_.clear();
    co_return Unit();
  }

  void make_connection() {
    peer_.reset();
    arrived_.clear();
    peer_ended_ = false;
    size_t buffer = random_.one_in(3) ? random_.between(100, 3000) : 65536;
    MemoryPair pair = MemoryPair::make(world_.loop(), &to_peer_, &to_us_, buffer);
    peer_ = std::move(pair.b);
    pool_.put(std::make_unique<PooledConnection>(std::unique_ptr<Transport>(std::move(pair.a)), PoolKey::of(key_text)));
  }

  // One try, and what became of it.
  Task<Unit> exchange(Planned& planned) {
    world_.note("{}: {} bytes up, peer {}", planned.id, planned.upload_body.size(), conduct_names[static_cast<int>(planned.conduct)]);
    MemoryPair client = MemoryPair::make(world_.loop());
    Connection connection(*client.a, Side::client);
    Arena::Owner arena = Arena::open(4096);
    RequestHead* head = arena->make<RequestHead>(*arena);
    h1::BodyRules rules;
    h1::ServerExchange* asked = arena->make<h1::ServerExchange>(connection, *head, rules, nullptr);
    Request* request = arena->make<Request>(*arena, *head, *asked, facts_);
    AttemptTarget target;
    target.pool = &pool_;
    target.key = PoolKey::of(key_text);
    AttemptRequest what;
    what.head.push_back(Slice::copy_of(planned.head));
    SlowBody body(world_.loop(), random_, planned.upload_body, planned.upload == h1::SendFraming::length);
    what.body = &body;
    what.has_body = planned.upload != h1::SendFraming::none;
    if (planned.upload == h1::SendFraming::length) what.length = planned.upload_body.size();
    what.method = planned.upload_body.empty() ? Method::get : Method::post;
    request_arrived_ = answered_ = false;
    may_be_stale_ = peer_ended_;
    uploaded_ = true;
    Child<Unit> peer;
    peer.start(serve(planned));
    co_await attempt(*request, target, what, planned);
    check_pool(planned);
    bool goes_on = answered_ && (planned.conduct == Conduct::whole || pool_.idle_count() == 1);
    if (goes_on && !peer.is_done()) co_await peer;
    if (answered_ && planned.conduct == Conduct::whole && !request_arrived_) world_.fail("the request did not arrive whole");
    peer.cancel();
    co_return Unit();
  }

  Task<Unit> attempt(Request& request, const AttemptTarget& target, const AttemptRequest& what, const Planned& planned) {
    Attempt one(request, h1::client_protocol, target);
    Result<Unit> ran = Unit();
    bool is_sent = one.begin(what);
    if (!is_sent) ran = co_await one.run(what);
    while (is_sent && !one.poll(ran)) {
      WaitStatus status = co_await one.readable();
      if (status != WaitStatus::timeout) continue;
      ran = Attempt::timed_out();
      break;
    }
    if (!ran) {
      world_.note("{}: {}", planned.id, ran.error().what);
      check_error(planned, ran.error());
      one.finish();
      co_return Unit();
    }
    std::string got;
    Error cut;
    co_await read_body(one.body(), got, cut);
    Child<Result<Unit>>& upload = one.upload();
    bool waits = upload.is_started() && !upload.is_done() && planned.reads_upload && random_.one_in(2);
    if (waits) (void)co_await upload;
    world_.note("{}: status {}, {} bytes, {}", planned.id, one.head.status, got.size(), cut.fault == Fault::none ? "whole" : cut.what);
    uploaded_ = !upload.is_started() || upload.is_done();
    one.finish();
    check_reply(planned, got, cut);
    co_return Unit();
  }

  Task<Unit> read_body(Body& body, std::string& got, Error& cut) {
    Chunk chunk;
    for (;;) {
      Poll polled = body.poll(chunk);
      if (polled == Poll::end) co_return Unit();
      if (polled == Poll::failed) {
        cut = body.error();
        co_return Unit();
      }
      if (polled == Poll::ready) {
        got.append(chunk.bytes.data, chunk.bytes.size);
        if (random_.one_in(6)) co_await Sleep(world_.loop(), random_.below(50));
        continue;
      }
      auto waited = co_await body.ready();
      if (!waited) {
        cut = waited.error();
        co_return Unit();
      }
    }
  }

  // -- the peer --

  Task<Unit> serve(Planned& planned) {
    ArrivedRequest request;
    bool early = planned.conduct == Conduct::early;
    Child<Unit> reading;
    reading.start(read_request(request, planned, early && !planned.reads_upload));
    while (request.head.empty() || (!early && !request_arrived_)) {
      if (reading.is_done()) co_return Unit();
      co_await Sleep(world_.loop(), 5);
    }
    if (random_.one_in(2)) co_await Sleep(world_.loop(), random_.below(500));
    if (planned.conduct == Conduct::silent) co_return Unit();
    co_await write_reply(planned);
    bool resets = planned.conduct == Conduct::reset_head || planned.conduct == Conduct::reset_body;
    bool cuts = planned.conduct == Conduct::cut_head || planned.conduct == Conduct::cut_body;
    peer_ended_ = resets || cuts || planned.closes;
    if (resets) peer_->reset();
    else if (cuts || planned.closes) peer_->shutdown_write();
    if (!reading.is_done()) co_await reading;
    co_return Unit();
  }

  // Until the request is whole (or its head, if that is all this peer wants), or the other end is gone.
  Task<Unit> read_request(ArrivedRequest& request, const Planned& planned, bool head_only) {
    char room[4096];
    for (;;) {
      bool whole = request.take(arrived_);
      if (whole) {
        request_arrived_ = true;
        if (request.head != planned.head || request.body != planned.upload_body) world_.fail("another request arrived");
      }
      if (whole || (head_only && !request.head.empty())) co_return Unit();
      IoResult got = peer_->read(room, random_.between(1, sizeof room));
      if (got.status == IoStatus::end || got.status == IoStatus::failed) co_return Unit();
      if (got.status == IoStatus::ok) {
        arrived_.append(room, got.bytes);
        world_.note("peer: read {}", got.bytes);
        continue;  // that may be all of it
      }
      if (!peer_->watch().is_ready(Direction::read)) co_await IoWait(peer_->watch(), Direction::read, 0);
    }
  }

  Task<Unit> write_reply(const Planned& planned) {
    for (size_t at = 0; at < planned.reply_bytes;) {
      size_t bytes = random_.between(1, std::min<size_t>(planned.reply_bytes - at, random_.one_in(4) ? 10 : 20'000));
      iovec piece{const_cast<char*>(planned.reply.data()) + at, bytes};
      IoResult written = peer_->write(&piece, 1);
      if (written.status == IoStatus::failed) co_return Unit();
      at += written.bytes;
      world_.note("peer: wrote {}", written.bytes);
      if (random_.one_in(6)) co_await Sleep(world_.loop(), random_.below(60));
      if (!peer_->watch().is_ready(Direction::write)) co_await IoWait(peer_->watch(), Direction::write, 0);
    }
    co_return Unit();
  }

  // -- what must hold --

  void check_error(const Planned& planned, const Error& error) {
    // It ended behind the exchange before, and nobody could know.
    if (may_be_stale_ && (error.fault == Fault::closed || error.fault == Fault::reset)) return;
    switch (planned.conduct) {
      case Conduct::cut_head:
        if (error.fault != Fault::closed && error.fault != Fault::reset) world_.fail(format("cut head: {}", error.what));
        break;
      case Conduct::nonsense:
        if (error.fault != Fault::malformed) world_.fail(format("nonsense: {}", error.what));
        break;
      case Conduct::silent:
        if (error.fault != Fault::timeout) world_.fail(format("silence: {}", error.what));
        break;
      case Conduct::reset_head: case Conduct::reset_body:  // what was not read is lost with a reset
        if (error.fault != Fault::reset && error.fault != Fault::closed) world_.fail(format("reset: {}", error.what));
        break;
      default: world_.fail(format("a good reply was not read: {}", error.what));
    }
  }

  void check_reply(const Planned& planned, const std::string& got, const Error& cut) {
    answered_ = cut.fault == Fault::none;
    if (planned.reply_bytes < planned.reply_head || planned.conduct == Conduct::nonsense) return world_.fail("an answer out of nothing");
    if (got != planned.reply_body.substr(0, got.size())) return world_.fail("another body");
    bool all = planned.reply_bytes == planned.reply.size();
    bool may_fail = !all || planned.conduct == Conduct::reset_body;
    bool by_close = planned.reply.find("Content-Length") == std::string::npos && planned.reply.find("chunked") == std::string::npos;
    if (cut.fault != Fault::none && !may_fail) return world_.fail(format("a good body was cut: {}", cut.what));
    if (cut.fault == Fault::none && got != planned.reply_body && !by_close) return world_.fail("a body that was cut looks whole");
  }

  void check_pool(const Planned& planned) {
    bool complete = answered_ && uploaded_ && !planned.closes;
    bool kept = pool_.idle_count() == 1;
    if (kept && !complete) world_.fail("a connection was kept whose exchange is not complete");
    bool good = planned.conduct == Conduct::whole;
    if (!kept && complete && good) world_.fail("a good connection was not kept");
  }

  World world_;
  Random random_;
  RandomScript to_peer_, to_us_;
  std::vector<Planned> planned_;
  WorkerRow row_;
  Worker worker_;
  ListenAddress listen_;
  ClientFacts facts_;
  ConnPool pool_;
  std::unique_ptr<MemoryTransport> peer_;
  std::string arrived_;  // at the peer, not decoded yet
  bool request_arrived_ = false, answered_ = false, uploaded_ = true;
  bool peer_ended_ = false, may_be_stale_ = false;
  Nursery nursery_;
};

}  // namespace

Outcome fairlead::sim::simulate(uint64_t seed) { return Simulation(seed).run(seed); }

int main() { return run_seeds(); }
