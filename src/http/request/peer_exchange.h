// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PeerExchange: what any protocol towards a peer offers one try: sending the request, the head of the reply, its body. PeerProtocol opens
// them. The forwarder (forward/attempt.h) waits, by what these say, and decides; a protocol knows no retries, phases or modules. An
// exchange lies in the frame of the try (ExchangePlace), which ends and destroys it.
#pragma once

#include <optional>
#include <variant>

#include "event/loop/sync.h"
#include "event/net/conn_pool.h"
#include "event/net/socket.h"
#include "http/message/body.h"
#include "http/message/header_names.h"
#include "http/message/message.h"
#include "http/request/exchange.h"

namespace fairlead {
class Worker;
}
namespace fairlead::http::h2 {
struct PeerLimits;
}
namespace fairlead::http {

struct ForwardConf;
class PeerProtocol;

// Where to and within which limits. Times in milliseconds, 0: none.
struct AttemptTarget {
  const Addr* address = nullptr;  // outlives the exchange
  PoolKey key;               // address, protocol, local address: what makes two connections interchangeable
  ConnPool* pool = nullptr;  // nullptr: no reuse
  bool is_fresh = false;     // on a connection that is made for it, whatever is there
  KeepLimits keep;           // of the connection afterwards, instead of the pool's
  const h2::PeerLimits* limits = nullptr;  // of connections that carry several exchanges at once
  ConnectOptions connect;
  uint64_t connect_timeout_ms = 60'000;
  uint64_t send_timeout_ms = 60'000;
  uint64_t read_timeout_ms = 60'000;
  uint64_t try_timeout_ms = 0;  // of the whole try until the head of the reply
  size_t head_bytes_max = 4096;
  uint64_t interim_max = 32;  // heads ahead of the reply's
  bool needs_head = false;  // an answer without a head (HTTP/0.9) is malformed
  const ForwardConf* hints = nullptr;  // a 103 is passed on by these rules; nullptr: dropped
};

// The head of a request in a protocol whose heads are lists of fields (HTTP/2). Names in lower case; texts live as long as the request.
struct RequestFields {
  explicit RequestFields(Arena& arena) : fields(arena) {}
  std::string_view method, scheme, authority, path;
  std::string_view protocol;  // of an extended CONNECT (RFC 8441 section 4); empty: a request
  Headers fields;
};

// What to send. Shared by all tries of a request.
struct AttemptRequest {
  Chain head;                             // of protocols whose heads are bytes
  RequestFields* fields = nullptr;        // of the others
  Body* body = nullptr;
  bool has_body = false;                  // else `body` is an empty one
  std::optional<uint64_t> length;         // of the body, if it was announced
  const HeaderNames* trailers_but = nullptr;  // the body's trailers are sent, except of these names; nullptr: none of them
  Method method = Method::get;            // as sent: a reply to HEAD has no body
  bool asks_upgrade = false;              // the head has an Upgrade field: a 101 is an answer
  bool is_again = false;                  // given to build(): it was called before, the request's URI may have changed since
};

// co_await: until a descriptor or an event is ready, or its deadline (absolute, 0 for none) passes. No frame.
class PeerWait {
 public:
  PeerWait(Watch& watch, Direction direction, uint64_t deadline_ms) : wait_(std::in_place_type<IoWait>, watch, direction, deadline_ms) {}
  PeerWait(Event& event, uint64_t deadline_ms) : wait_(std::in_place_type<Event::Wait>, event, deadline_ms) {}
  bool await_ready() { return io() ? io()->await_ready() : event()->await_ready(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) {
    if (io()) io()->await_suspend(frame);
    else event()->await_suspend(frame);
  }
  WaitStatus await_resume() { return io() ? io()->await_resume() : event()->await_resume(); }

 private:
  IoWait* io() { return std::get_if<IoWait>(&wait_); }
  Event::Wait* event() { return std::get_if<Event::Wait>(&wait_); }
  std::variant<IoWait, Event::Wait> wait_;
};

enum class HeadPoll : uint8_t { done, pending, failed };

class PeerExchange {
 public:
  virtual ~PeerExchange() = default;

  // Plain: sends the head, then as much of the request's body as is there and the peer takes. Called until done or failed; need_write:
  // await writable() first; need_body: await the body. send_error() says why it failed.
  virtual Progress pump(Body& body) = 0;
  virtual Error send_error() const = 0;
  // Something was taken from the body, which only a kept one can give again.
  virtual bool has_pulled_body() const = 0;

  // Plain: takes what is there of the reply's head. done: it is complete (interim ones were skipped, except 101), and body() may be used.
  // pending: await readable(). failed: head_error().
  virtual HeadPoll poll_head() = 0;
  // After pump() gave done: whether poll_head() has nothing to look at before readable() is over. A reply takes its time, and a first look
  // right behind the request would find nothing.
  virtual bool awaits_input() const { return false; }
  virtual Error head_error() const = 0;
  // Of a malformed head: the bytes that broke it, for the log. May be empty.
  virtual std::string_view error_detail() const { return {}; }
  // The answer has no head: HTTP/0.9, everything up to the end is its body.
  virtual bool is_headless() const { return false; }
  virtual Body& body() = 0;

  // co_await these. Deadlines absolute, 0 for none.
  virtual PeerWait readable(uint64_t deadline_ms) = 0;
  virtual PeerWait writable(uint64_t deadline_ms) = 0;

  // The peer ended its side: what could not be sent may have been answered all the same.
  virtual bool has_hung_up() const = 0;
  // On a connection that served others before.
  virtual bool is_reused() const = 0;
  // After a failure: on such a connection, before any byte of an answer. It may have been on its way to its end when we chose it.
  virtual bool is_stale() const = 0;
  // After the orderly end of such a connection: the peer cannot have read any byte of this request. May cost a system call.
  virtual bool is_unread() const = 0;
  // The peer said so: it may be sent again whatever it was (RFC 9113 section 8.7).
  virtual bool is_refused() const { return false; }
  // Bytes of this exchange on the wire so far.
  virtual uint64_t sent_bytes() const = 0;
  virtual uint64_t received_bytes() const = 0;
  // After a 101: the connection, which from now on is the caller's until end(). nullptr: the protocol has no such thing.
  virtual Connection* tunnel() { return nullptr; }
  // After a 101 without tunnel(): body() is what the peer sends in the tunnel, and pump() sends what a body gives, its end included.
  virtual bool carries_tunnel() const { return false; }

  // Ends it, wherever it is: gives the connection back if it can serve others, else closes it; takes back a stream. `uploaded`: the
  // request was sent whole, or not begun. Then it is destroyed. Gives what the log should say of bytes behind the reply, or nullptr.
  virtual const char* end(bool uploaded) = 0;
};

// Room for one exchange in the frame of its try: what fits needs no memory of its own, larger ones lie in the arena. Destroying what was
// made is the owner's matter.
class ExchangePlace {
 public:
  static constexpr size_t bytes = 512;  // an HTTP/1 exchange fits
  template <class T, class... Args>
  T* make(Arena& arena, Args&&... args) {
    void* at = sizeof(T) <= sizeof room_ ? room_ : arena.allocate(sizeof(T), alignof(T));
    return new (at) T(std::forward<Args>(args)...);
  }

 private:
  alignas(16) std::byte room_[bytes];
};

// Who is told of interim heads (RFC 9110 section 15.2); they are skipped all the same.
struct InterimHook {
  void* whom = nullptr;
  void (*tell)(void* whom, ResponseHead& head) = nullptr;
};

// What an exchange is opened for. All of it outlives the exchange.
struct PeerCall {
  Worker& worker;
  Arena& arena;          // of whoever calls: what is made for the exchange lies there, and outlives it
  const Logger& logger;
  const AttemptTarget& target;
  const AttemptRequest& what;
  ResponseHead& reply;  // empty; poll_head() fills it
  ExchangePlace& place;
  InterimHook interim;
};

class PeerProtocol {
 public:
  // `name` tells connections of different protocols to one address apart; empty for the usual one.
  constexpr explicit PeerProtocol(std::string_view protocol_name) : name(protocol_name) {}
  const std::string_view name;

  // On what is open already. nullptr: call open().
  virtual PeerExchange* try_open(const PeerCall& call) const = 0;
  // Connects, or waits for room. `deadline_ms`: absolute, 0 for none. Errors: those of connect(), exhausted.
  virtual Task<Result<PeerExchange*>> open(PeerCall call, uint64_t deadline_ms) const = 0;

 protected:
  ~PeerProtocol() = default;
};

}  // namespace fairlead::http
