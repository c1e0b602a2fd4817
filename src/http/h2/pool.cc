// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/pool.h"

#include <algorithm>
#include <cerrno>

#include "core/conf/error_log.h"
#include "event/net/connector.h"
#include "event/tls/client.h"

namespace fairlead::http::h2 {

// Taken in from one connection before others have their turn.
static constexpr size_t turn_bytes_max = 256 * 1024;
// How long the last frames of a connection that ends may take.
static constexpr uint64_t farewell_ms = 1000;
// Streams that a connection on its way may be expected to bring: RFC 9113 section 6.5.2 asks peers to allow no fewer.
static constexpr uint64_t expected_streams = 100;

// One connection at work. Lives in the frame of its runner, which waits for the last lease.
class PeerLink final : public Link, private SessionEvents {
 public:
  struct Rules {
    SessionRules session;
    PoolLimits idle;
    uint64_t ping_interval_ms, ping_timeout_ms;
  };
  PeerLink(PeerGroup& group, Logger logger, std::unique_ptr<PooledConnection> connection, const Rules& rules)
      : group_(group),
        logger_(logger),
        pooled_(std::move(connection)),
        rules_(rules),
        session_(Role::client, pooled_->connection, rules_.session, *this),
        unused_(session_.loop()),
        tick_(*this),
        made_ms_(session_.loop().now_ms()),
        idle_since_ms_(made_ms_),
        heard_ms_(made_ms_) {
    unused_.set();
    session_.send();
    arm_tick();
  }

  Session& session() { return session_; }
  bool has_room(uint64_t streams_max) const {
    return !leaving_ && leases_ < streams_max && session_.room() + session_.stream_count() > leases_;
  }
  // Gives whether there was one before.
  bool take_stream();
  void give_back();
  // From now on: no new streams, the end with the last one.
  void leave();
  Task<Unit> run();

 private:
  struct Tick : Timer {
    explicit Tick(PeerLink& owner) : Timer([](Timer& t) { static_cast<Tick&>(t).link.on_tick(); }), link(owner) {}
    PeerLink& link;
  };
  void goes_away(int32_t, ErrorCode code) override;
  void settings_changed() override;
  void pong() override { ping_sent_ms_ = 0; }
  void on_tick();
  void arm_tick();
  void log_end(Session::ReadEnd end);
  Connection& connection() const { return pooled_->connection; }

  PeerGroup& group_;
  Logger logger_;
  std::unique_ptr<PooledConnection> pooled_;
  const Rules rules_;
  Session session_;
  Event unused_;  // no lease is out
  Tick tick_;
  uint64_t leases_ = 0, streams_ = 0;  // out now, and ever
  uint64_t made_ms_, idle_since_ms_, heard_ms_;
  uint64_t ping_sent_ms_ = 0;  // 0: none is unanswered
  bool leaving_ = false;
  bool unanswered_ = false;    // a PING was not answered in time
};

struct LeaseWaiter : Link {
  LeaseWaiter(Loop& loop, const AttemptTarget& to) : decided(loop), target(to) {}
  Event decided;
  const AttemptTarget& target;
  StreamLease lease;
  Error error;  // if decided without a lease
};

// The connections to one peer, and who waits for one. Lives while there are any.
class PeerGroup {
 public:
  PeerGroup(PeerPool& pool, std::string_view key) : pool_(pool), key_(key) {}

  PeerLink* find(uint64_t streams_max) {
    for (PeerLink* link = links_.front(); link; link = links_.next(*link))
      if (link->has_room(streams_max)) return link;
    return nullptr;
  }
  bool has_waiters() const { return !waiters_.empty(); }
  // `waiter` is decided now or later; until then it stands in line.
  void enqueue(LeaseWaiter& waiter);
  // Makes a connection if those that wait are too many for those that are there. Not from inside nghttp2.
  void connect_if_needed();
  // Room was made on some connection.
  void serve_waiters();
  Loop& loop() const { return pool_.worker_.loop(); }

 private:
  Task<Unit> run_link(AttemptTarget target);
  void fail_waiters(const Error& error);
  void forget_if_empty();

  PeerPool& pool_;
  std::string key_;
  List<PeerLink> links_;  // that take streams
  List<LeaseWaiter> waiters_;
  size_t runners_ = 0;    // tasks of run_link
  size_t connecting_ = 0;
};

// -- the connection --

bool PeerLink::take_stream() {
  if (leases_++ == 0) {
    unused_.reset();
    heard_ms_ = session_.loop().now_ms();  // silence counts while something is expected
    arm_tick();
  }
  bool reused = ++streams_ > 1;
  if (streams_ >= rules_.idle.requests_max || session_.loop().now_ms() - made_ms_ >= rules_.idle.age_max_ms) leave();
  return reused;
}

void PeerLink::give_back() {
  if (--leases_ == 0) {
    unused_.set();
    idle_since_ms_ = session_.loop().now_ms();
    if (rules_.idle.idle_max == 0) leave();
    if (leaving_) session_.wake_runner();
    else arm_tick();
  }
  if (!leaving_) group_.serve_waiters();
}

void PeerLink::leave() {
  if (leaving_) return;
  leaving_ = true;
  unlink();
  session_.wake_runner();
}

void PeerLink::goes_away(int32_t, ErrorCode code) {
  if (code != ErrorCode::no_error) logger_.error("upstream sent GOAWAY with error {}", static_cast<uint32_t>(code));
  leave();
}

void PeerLink::settings_changed() {
  if (!leaving_) group_.serve_waiters();
}

// One lazy timer for idleness and pings: it may fire early, and then looks again.
void PeerLink::arm_tick() {
  uint64_t next = UINT64_MAX;
  if (leases_ == 0 && rules_.idle.idle_timeout_ms) next = idle_since_ms_ + rules_.idle.idle_timeout_ms;
  if (ping_sent_ms_) next = std::min(next, ping_sent_ms_ + rules_.ping_timeout_ms);
  else if (rules_.ping_interval_ms && leases_ > 0) next = std::min(next, heard_ms_ + rules_.ping_interval_ms);
  if (next == UINT64_MAX || (tick_.armed() && tick_.expires_ms() <= next)) return;
  session_.loop().timers().arm(tick_, next);
}

void PeerLink::on_tick() {
  uint64_t now = session_.loop().now_ms();
  if (leases_ == 0 && rules_.idle.idle_timeout_ms && now - idle_since_ms_ >= rules_.idle.idle_timeout_ms) {
    leave();
    return;
  }
  if (ping_sent_ms_ && now - ping_sent_ms_ >= rules_.ping_timeout_ms) {
    unanswered_ = true;
    session_.wake_runner();
    return;
  }
  if (rules_.ping_interval_ms && !ping_sent_ms_ && leases_ > 0 && now - heard_ms_ >= rules_.ping_interval_ms) {
    session_.ping();
    ping_sent_ms_ = now;
  }
  arm_tick();
}

void PeerLink::log_end(Session::ReadEnd end) {
  if (unanswered_) logger_.error("upstream did not answer an HTTP/2 PING in time");
  else if (session_.violation()) logger_.error("upstream connection ended: {} {}", session_.violation(), session_.take_complaint());
  else if (!leaving_ && !session_.may_open()) logger_.error("upstream sent invalid HTTP/2 frames {}", session_.take_complaint());
  else if (end == Session::ReadEnd::broken && leases_ > 0) logger_.error("HTTP/2 connection to upstream failed");
}

Task<Unit> PeerLink::run() {
  Loop& loop = session_.loop();
  Session::ReadEnd end = Session::ReadEnd::again;
  for (;;) {
    uint64_t received = connection().received_bytes();
    end = session_.read(turn_bytes_max);
    if (connection().received_bytes() != received) {
      heard_ms_ = loop.now_ms();
      ping_sent_ms_ = 0;
      if (rules_.ping_interval_ms) arm_tick();  // the next ping is due before the time-out of the last one would have been
    }
    if (leaving_) group_.connect_if_needed();
    if (end == Session::ReadEnd::more) {
      co_await Yield(loop);
      continue;
    }
    if (end != Session::ReadEnd::again || unanswered_ || (leaving_ && leases_ == 0)) break;
    co_await connection().readable(0);
  }
  log_end(end);
  leave();
  group_.connect_if_needed();
  if (end == Session::ReadEnd::again || end == Session::ReadEnd::over) {
    if (!unanswered_) session_.go_away(ErrorCode::no_error);
    session_.send();
    co_await Yield(loop);  // it is written at the end of this turn
    co_await session_.flushed(loop.deadline(farewell_ms));
  }
  session_.lose();
  if (leases_ > 0) co_await unused_.wait();
  co_return Unit();
}

// -- the group --

void PeerGroup::serve_waiters() {
  while (LeaseWaiter* first = waiters_.front()) {
    PeerLink* link = find(first->target.limits->streams_max);
    if (!link) return;
    first->lease = StreamLease(*link);
    first->unlink();
    first->decided.set();
  }
}

void PeerGroup::fail_waiters(const Error& error) {
  while (LeaseWaiter* first = waiters_.pop_front()) {
    first->error = error;
    const TlsTarget* tls = first->target.connect.tls;
    if (tls) first->error.what = tls->arena->copy_z(error.what);  // it may be a text of the connection's
    first->decided.set();
  }
}

void PeerGroup::enqueue(LeaseWaiter& waiter) {
  waiters_.push_back(waiter);
  connect_if_needed();  // may decide the waiter, and end this group
}

void PeerGroup::connect_if_needed() {
  const LeaseWaiter* first = waiters_.front();
  if (!first) return;
  uint64_t waiting = 0, connections = connecting_;
  for (LeaseWaiter* one = waiters_.front(); one; one = waiters_.next(*one)) ++waiting;
  for (PeerLink* link = links_.front(); link; link = links_.next(*link)) ++connections;
  const PeerLimits& limits = *first->target.limits;
  if (limits.connections_max && connections >= limits.connections_max) return;
  if (waiting <= connecting_ * std::min(limits.streams_max, expected_streams)) return;
  ++runners_;
  ++connecting_;
  pool_.links_.spawn(run_link(first->target));
}

// The request for which a connection is opened may be gone before it stands: nothing of its is pointed to from then on.
static void keep_texts(ConnectOptions& options, Arena& arena) {
  options.greeting = arena.copy(options.greeting);
  if (options.tls) options.tls = options.tls->copy_to(arena);
}

// Its own frame keeps the connection; what `target` points to is the caller's and is not looked at behind the first wait.
Task<Unit> PeerGroup::run_link(AttemptTarget target) {
  const PeerLimits& limits = *target.limits;
  Worker& worker = pool_.worker_;
  PeerLink::Rules rules;
  rules.session.stream_window_bytes = static_cast<uint32_t>(limits.window.bytes);
  rules.session.head_list_bytes_max = static_cast<uint32_t>(target.head_bytes_max);
  rules.session.send_timeout_ms = target.send_timeout_ms;
  rules.idle = target.pool ? target.pool->limits() : PoolLimits{.idle_max = 0};
  rules.ping_interval_ms = limits.ping_interval;
  rules.ping_timeout_ms = limits.ping_timeout;
  PoolKey key = PoolKey::of(key_);
  uint64_t deadline = worker.loop().deadline(target.connect_timeout_ms);
  constexpr size_t arena_bytes = 512;
  Arena::Owner arena = Arena::open(arena_bytes);
  keep_texts(target.connect, *arena);
  ConnectionSlot slot(worker);  // before the wait: whoever looks meanwhile must see it taken
  auto connected = co_await connect(worker.loop(), target.address, target.connect, key, deadline);
  --connecting_;
  if (connected) {
    (*connected)->slot = std::move(slot);
    Logger logger(*conf<ErrorLogConf>(worker.generation().root()).log);
    PeerLink link(*this, logger, std::move(*connected), rules);
    links_.push_back(link);
    serve_waiters();
    arena.reset();
    co_await link.run();
  } else if (connecting_ == 0 && links_.empty()) {
    fail_waiters(connected.error());
  }
  --runners_;
  forget_if_empty();
  co_return Unit();
}

void PeerGroup::forget_if_empty() {
  if (runners_ == 0 && waiters_.empty()) pool_.groups_.erase(pool_.groups_.find(key_));
}

// -- leases --

StreamLease::StreamLease(PeerLink& link) : link_(&link), reused_(link.take_stream()) {}

Session& StreamLease::session() const { return link_->session(); }

void StreamLease::give_back() {
  if (link_) std::exchange(link_, nullptr)->give_back();
}

PeerPool::PeerPool(Worker& worker) : worker_(worker), links_(worker.loop()) {}
PeerPool::~PeerPool() = default;

PeerGroup& PeerPool::group_of(const PoolKey& key) {
  auto found = groups_.find(key.text);
  if (found == groups_.end()) found = groups_.emplace(key.text, std::make_unique<PeerGroup>(*this, key.text)).first;
  return *found->second;
}

StreamLease PeerPool::try_lease(const AttemptTarget& target) {
  auto found = groups_.find(target.key.text);
  if (found == groups_.end() || found->second->has_waiters()) return StreamLease();
  PeerLink* link = found->second->find(target.limits->streams_max);
  return link ? StreamLease(*link) : StreamLease();
}

Task<Result<StreamLease>> PeerPool::lease(const AttemptTarget& target, uint64_t deadline_ms) {
  if (target.connect.tls && target.connect.tls->questions)
    co_return Error{Fault::unavailable, Side::local, 0, "hooks of handshakes are not asked about connections that requests share"};
  LeaseWaiter waiter(worker_.loop(), target);
  group_of(target.key).enqueue(waiter);
  WaitStatus status = co_await waiter.decided.wait(deadline_ms);
  if (waiter.lease) co_return std::move(waiter.lease);
  if (status == WaitStatus::ready) co_return waiter.error;
  co_return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
}

}  // namespace fairlead::http::h2
