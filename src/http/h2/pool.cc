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
// Streams that a connection may be expected to bring while nothing is known of the peer: RFC 9113 section 6.5.2 asks it to allow no fewer.
static constexpr uint64_t expected_streams = 100;
// How many of them are opened at once; the others wait for the SETTINGS, which come within a round trip. What is opened beyond the peer's
// limit costs a refusal.
static constexpr uint64_t early_streams = 10;

// One connection at work. Lives in the frame of its runner, which waits for the last lease.
class PeerLink final : public Link, private SessionEvents, private LogContext {
 public:
  struct Rules {
    SessionRules session;
    PoolLimits idle;
    uint64_t ping_interval_ms, ping_timeout_ms;
  };
  PeerLink(PeerGroup& group, const Log& log, std::unique_ptr<PooledConnection> connection, const Addr& address, const Rules& rules)
      : group_(group),
        address_(address),
        logger_(log, 0, this),
        pooled_(std::move(connection)),
        rules_(rules),
        session_(Role::client, pooled_->connection, rules_.session, *this),
        unused_(session_.loop()),
        settled_(session_.loop()),
        tick_(*this),
        made_ms_(session_.loop().now_ms()),
        idle_since_ms_(made_ms_),
        heard_ms_(made_ms_) {
    unused_.set();
    session_.send();
    arm_tick();
  }

  Session& session() { return session_; }
  Event& settled() { return settled_; }
  bool has_settings() const { return has_settings_; }
  bool has_room(uint64_t streams_max) const;
  // How many of `streams`, which a connection is expected to bring, this one may still turn out to have room for.
  uint64_t streams_to_come(uint64_t streams) const { return has_settings_ || streams <= leases_ ? 0 : streams - leases_; }
  // The peer allows no stream at all, for now.
  bool is_shut() const { return has_settings_ && leases_ == 0 && session_.room() == 0; }
  // Gives whether there was one before.
  bool take_stream();
  void give_back();
  // From now on: no new streams, the end with the last one.
  void leave();
  // Since when no lease is out; UINT64_MAX: some is, or it ends.
  uint64_t idle_since_ms() const { return leases_ > 0 || leaving_ ? UINT64_MAX : idle_since_ms_; }
  // Of an idle one: ends without a farewell, which takes time.
  void leave_at_once() {
    is_hurried_ = true;
    leave();
  }
  Task<Unit> run();

 private:
  struct Tick : Timer {
    explicit Tick(PeerLink& owner) : Timer([](Timer& t) { static_cast<Tick&>(t).link.on_tick(); }), link(owner) {}
    PeerLink& link;
  };
  void append(LogText& to) const override { to.append_format(", upstream: \"{}\"", address_.text()); }
  void goes_away(int32_t, ErrorCode code) override;
  void settings_changed() override;
  void pong() override { ping_sent_ms_ = 0; }
  void on_tick();
  void arm_tick();
  void log_end(Session::ReadEnd end);
  Connection& connection() const { return pooled_->connection; }

  PeerGroup& group_;
  const Addr address_;
  Logger logger_;
  std::unique_ptr<PooledConnection> pooled_;
  const Rules rules_;
  Session session_;
  Event unused_;   // no lease is out
  Event settled_;  // the peer's settings are known, or never will be
  Tick tick_;
  uint64_t leases_ = 0, streams_ = 0;  // out now, and ever
  uint64_t made_ms_, idle_since_ms_, heard_ms_;
  uint64_t ping_sent_ms_ = 0;  // 0: none is unanswered
  bool has_settings_ = false;
  bool has_new_settings_ = false;  // those that wait have not had their turn yet
  bool leaving_ = false;
  bool is_hurried_ = false;    // another connection waits for its place
  bool unanswered_ = false;    // a PING was not answered in time
};

struct LeaseWaiter : Link {
  LeaseWaiter(Loop& loop, const AttemptTarget& to) : decided(loop), target(to) {}
  // `failure`: of the connection that was made for `of`, whose arena holds its text.
  void fail(const Error& failure, const TlsTarget* of);
  Event decided;
  const AttemptTarget& target;
  StreamLease lease;
  Error error;  // if decided without a lease
};

// What a connection on its way needs of the target it is made for, which need not last so long.
struct LinkPlan : Link {
  explicit LinkPlan(const AttemptTarget& target);
  Arena::Owner arena;
  Addr address;
  ConnectOptions connect;
  uint64_t connect_timeout_ms;
  PeerLink::Rules rules;
};

PeerLink::Rules rules_of(const AttemptTarget& target);

// The connections to one peer, and who waits for one. Lives while there are any.
class PeerGroup {
 public:
  PeerGroup(PeerPool& pool, std::string_view key) : pool_(pool), key_(key) {}

  PeerLink* find(uint64_t streams_max) {
    for (PeerLink* link = links_.front(); link; link = links_.next(*link))
      if (link->has_room(streams_max)) return link;
    return nullptr;
  }
  // nullptr: none is idle.
  PeerLink* longest_idle() const {
    PeerLink* oldest = nullptr;
    for (PeerLink* link = links_.front(); link; link = links_.next(*link))
      if (link->idle_since_ms() < (oldest ? oldest->idle_since_ms() : UINT64_MAX)) oldest = link;
    return oldest;
  }
  size_t idle_count() const {
    size_t count = 0;
    for (const PeerLink* link = links_.front(); link; link = links_.next(*link)) count += link->idle_since_ms() != UINT64_MAX;
    return count;
  }
  bool has_waiters() const { return !waiters_.empty(); }
  // `waiter` is decided now or later; until then it stands in line.
  void enqueue(LeaseWaiter& waiter);
  // Makes connections if those that wait are too many for those that are there. Not from inside nghttp2. May end the group, unless called
  // by one of its runners.
  void connect_if_needed();
  // How many more connections those that wait, and `more` like them, need.
  uint64_t missing_connections(const PeerLimits& limits, uint64_t more) const;
  // Room was made on some connection.
  void serve_waiters();
  // `connection` is one more. The first lease on it; empty if it has ended at once.
  StreamLease adopt(const AttemptTarget& target, std::unique_ptr<PooledConnection> connection);
  bool is_full(const PeerLimits& limits) const { return limits.connections_max && connection_count() >= limits.connections_max; }
  // There is one, or one is on its way.
  bool has_connection() const { return !links_.empty() || !plans_.empty(); }
  // The peer's settings are not known on some connection that stands: it may turn out to have more room.
  bool is_settling() const;
  // The peer has said on one of the connections how many streams it allows. It is likely to say so on the next one, too.
  void learn_streams_max(uint32_t streams) { streams_max_ = streams; }
  // Streams on a connection whose settings are not known yet.
  uint64_t early_streams_max() const { return streams_max_.value_or(early_streams); }
  // Some connection shows that the peer allows no streams: another one would have no more room.
  bool is_shut() const;
  // Some connection stands whose handshake has not ended.
  bool is_handshaking() const;
  Loop& loop() const { return pool_.worker_.loop(); }

 private:
  Task<Unit> make_link(const AttemptTarget& target);
  // `first`: gets the first lease, before the first wait; nullptr: whoever waits does.
  Task<Unit> run_link(PeerLink::Rules rules, std::unique_ptr<PooledConnection> connection, Addr address, StreamLease* first);
  size_t connection_count() const;  // those on their way included
  Task<std::unique_ptr<PooledConnection>> open_link(LinkPlan& plan);
  void fail_waiters(const Error& error, const TlsTarget* of);
  void forget_if_empty();

  PeerPool& pool_;
  std::string key_;
  List<PeerLink> links_;  // that take streams
  List<LeaseWaiter> waiters_;
  List<LinkPlan> plans_;  // of connections on their way
  std::optional<uint32_t> streams_max_;  // what the peer allowed when it was last heard of
  size_t runners_ = 0;    // tasks of make_link and run_link
};

// -- the connection --

bool PeerLink::has_room(uint64_t streams_max) const {
  if (!has_settings_) streams_max = std::min(streams_max, group_.early_streams_max());
  return !leaving_ && leases_ < streams_max && session_.room() + session_.stream_count() > leases_;
}

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
  if (code != ErrorCode::no_error) logger_.error("upstream sent goaway with error {}", static_cast<uint32_t>(code));
  leave();
}

void PeerLink::settings_changed() {
  has_settings_ = has_new_settings_ = true;
  group_.learn_streams_max(session_.peer_setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
  settled_.set();
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
    bool has_changed = std::exchange(has_new_settings_, false);  // by one frame or several: the last one says what holds
    if (has_changed && !leaving_) group_.serve_waiters();
    if (has_changed || leaving_) group_.connect_if_needed();
    if (end == Session::ReadEnd::more) {
      co_await Yield(loop);
      continue;
    }
    if (end != Session::ReadEnd::again || unanswered_ || (leaving_ && leases_ == 0)) break;
    co_await connection().readable(0);
  }
  log_end(end);
  settled_.set();
  leave();
  group_.connect_if_needed();
  bool says_farewell = !is_hurried_ && (end == Session::ReadEnd::again || end == Session::ReadEnd::over);
  if (says_farewell) {
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

void LeaseWaiter::fail(const Error& failure, const TlsTarget* of) {
  error = failure;
  if (TlsTarget* tls = target.connect.tls) {
    tls->is_handshaking = of->is_handshaking;
    error.what = tls->arena->copy_z(failure.what);
  }
  decided.set();
}

void PeerGroup::fail_waiters(const Error& error, const TlsTarget* of) {
  while (LeaseWaiter* first = waiters_.pop_front()) first->fail(error, of);
}

bool PeerGroup::is_handshaking() const {
  for (const LinkPlan* plan = plans_.front(); plan; plan = plans_.next(*plan))
    if (plan->connect.tls && plan->connect.tls->is_handshaking) return true;
  return false;
}

void PeerGroup::enqueue(LeaseWaiter& waiter) {
  waiters_.push_back(waiter);
  connect_if_needed();  // may decide the waiter, and end this group
}

uint64_t PeerGroup::missing_connections(const PeerLimits& limits, uint64_t more) const {
  if (is_full(limits) || is_shut()) return 0;
  uint64_t streams = std::clamp<uint64_t>(streams_max_.value_or(expected_streams), 1, limits.streams_max);
  uint64_t waiting = more, coming = 0;
  for (const LeaseWaiter* one = waiters_.front(); one; one = waiters_.next(*one)) ++waiting;
  for (const LinkPlan* plan = plans_.front(); plan; plan = plans_.next(*plan)) coming += streams;
  for (const PeerLink* link = links_.front(); link; link = links_.next(*link)) coming += link->streams_to_come(streams);
  if (waiting <= coming) return 0;
  uint64_t missing = (waiting - coming + streams - 1) / streams;
  return limits.connections_max ? std::min<uint64_t>(missing, limits.connections_max - connection_count()) : missing;
}

void PeerGroup::connect_if_needed() {
  if (waiters_.empty()) return;
  uint64_t missing = missing_connections(*waiters_.front()->target.limits, 0);
  ++runners_;  // a connection that fails at once ends nothing here
  // The worker's last places are not for further connections. That there is room for the first was seen to by who asks for it.
  for (; missing > 0 && !waiters_.empty() && (pool_.worker_.has_room() || !has_connection()); --missing) {
    ++runners_;
    pool_.links_.spawn(make_link(waiters_.front()->target));
  }
  --runners_;
  forget_if_empty();
}

bool PeerGroup::is_settling() const {
  for (const PeerLink* link = links_.front(); link; link = links_.next(*link))
    if (!link->has_settings()) return true;
  return false;
}

bool PeerGroup::is_shut() const {
  for (const PeerLink* link = links_.front(); link; link = links_.next(*link))
    if (link->is_shut()) return true;
  return false;
}

size_t PeerGroup::connection_count() const {
  size_t count = 0;
  for (const PeerLink* link = links_.front(); link; link = links_.next(*link)) ++count;
  for (const LinkPlan* plan = plans_.front(); plan; plan = plans_.next(*plan)) ++count;
  return count;
}

PeerLink::Rules rules_of(const AttemptTarget& target) {
  const PeerLimits& limits = *target.limits;
  PeerLink::Rules rules;
  rules.session.stream_window_bytes = static_cast<uint32_t>(limits.window.bytes);
  rules.session.head_list_bytes_max = std::max(static_cast<uint32_t>(target.head_bytes_max), trailer_bytes_max);
  rules.session.send_timeout_ms = target.send_timeout_ms;
  rules.idle = target.pool ? target.pool->limits() : PoolLimits{.idle_max = 0};
  if (target.keep.idle_timeout_ms) rules.idle.idle_timeout_ms = target.keep.idle_timeout_ms;
  if (target.keep.requests_max) rules.idle.requests_max = target.keep.requests_max;
  rules.ping_interval_ms = limits.ping_interval;
  rules.ping_timeout_ms = limits.ping_timeout;
  return rules;
}

LinkPlan::LinkPlan(const AttemptTarget& target)
    : address(*target.address), connect(target.connect), connect_timeout_ms(target.connect_timeout_ms), rules(rules_of(target)) {
  constexpr size_t arena_bytes = 1024;
  if (!connect.tls && connect.greeting.empty()) return;
  arena = Arena::open(arena_bytes);
  connect.greeting = arena->copy(connect.greeting);
  if (connect.tls) connect.tls = connect.tls->copy_to(*arena);
}

// A connection for those that wait; none: they have been told why, unless another one may come. A connection that is there is not waited
// for then: its streams may last, while another peer may be free.
Task<std::unique_ptr<PooledConnection>> PeerGroup::open_link(LinkPlan& plan) {
  Worker& worker = pool_.worker_;
  uint64_t deadline = worker.loop().deadline(plan.connect_timeout_ms);
  ConnectionSlot slot(worker);  // before the wait: whoever looks meanwhile must see it taken
  auto connected = co_await connect(worker.loop(), plan.address, plan.connect, PoolKey::of(key_), deadline);
  plan.unlink();
  if (connected && plan.connect.tls && (*connected)->connection.transport().alpn() != "h2") connected = unchosen_error();
  if (connected) {
    (*connected)->slot = std::move(slot);
    co_return std::move(*connected);
  }
  if (plans_.empty()) fail_waiters(connected.error(), plan.connect.tls);
  co_return nullptr;
}

// `target` is the caller's and is not looked at behind the first wait.
Task<Unit> PeerGroup::make_link(const AttemptTarget& target) {
  PeerLink::Rules rules;
  Addr address;
  std::unique_ptr<PooledConnection> connection;
  {
    LinkPlan plan(target);
    rules = plan.rules;
    address = plan.address;
    plans_.push_back(plan);
    connection = co_await open_link(plan);
  }
  if (connection) {
    ++runners_;
    pool_.links_.spawn(run_link(rules, std::move(connection), address, nullptr));
  }
  --runners_;
  forget_if_empty();
  co_return Unit();
}

// Its frame keeps the connection.
Task<Unit> PeerGroup::run_link(PeerLink::Rules rules, std::unique_ptr<PooledConnection> connection, Addr address, StreamLease* first) {
  {
    const Log& log = *conf<ErrorLogConf>(pool_.worker_.generation().root()).log;
    PeerLink link(*this, log, std::move(connection), address, rules);
    links_.push_back(link);
    if (first) *first = StreamLease(link);
    serve_waiters();
    co_await link.run();
  }
  --runners_;
  forget_if_empty();
  co_return Unit();
}

StreamLease PeerGroup::adopt(const AttemptTarget& target, std::unique_ptr<PooledConnection> connection) {
  StreamLease first;
  ++runners_;
  pool_.links_.spawn(run_link(rules_of(target), std::move(connection), *target.address, &first));
  if (first && first.session().room() == 0) first.give_back();
  return first;
}

void PeerGroup::forget_if_empty() {
  if (runners_ == 0 && waiters_.empty()) pool_.groups_.erase(pool_.groups_.find(key_));
}

// -- leases --

StreamLease::StreamLease(PeerLink& link) : link_(&link), reused_(link.take_stream()) {}

Session& StreamLease::session() const { return link_->session(); }

Event::Wait StreamLease::settled(uint64_t deadline_ms) { return link_->settled().wait(deadline_ms); }

bool StreamLease::has_settings() const { return link_->has_settings(); }

void StreamLease::give_back() {
  if (link_) std::exchange(link_, nullptr)->give_back();
}

PeerPool::PeerPool(Worker& worker) : worker_(worker), links_(worker.loop()) { worker.note_idle_peers(*this); }
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

StreamLease PeerPool::adopt(const AttemptTarget& target, std::unique_ptr<PooledConnection> connection) {
  return group_of(target.key).adopt(target, std::move(connection));
}

const PeerGroup* PeerPool::find_group(const AttemptTarget& target) const {
  auto found = groups_.find(target.key.text);
  return found == groups_.end() ? nullptr : found->second.get();
}

bool PeerPool::is_full(const AttemptTarget& target) const {
  const PeerGroup* group = find_group(target);
  return group && group->is_full(*target.limits);
}

bool PeerPool::is_settling(const AttemptTarget& target) const {
  const PeerGroup* group = find_group(target);
  return group && group->is_settling();
}

bool PeerPool::has_connection(const AttemptTarget& target) const {
  const PeerGroup* group = find_group(target);
  return group && group->has_connection();
}

bool PeerPool::lacks_connection(const AttemptTarget& target) const {
  const PeerGroup* group = find_group(target);
  return !group || group->missing_connections(*target.limits, 1) > 0;
}

size_t PeerPool::idle_count() const {
  size_t count = 0;
  for (const auto& [key, group] : groups_) count += group->idle_count();
  return count;
}

Room PeerPool::close_oldest() {
  PeerLink* oldest = nullptr;
  for (const auto& [key, group] : groups_) {
    PeerLink* link = group->longest_idle();
    if (link && (!oldest || link->idle_since_ms() < oldest->idle_since_ms())) oldest = link;
  }
  if (!oldest) return Room::none;
  oldest->leave_at_once();
  return Room::soon;
}

Error unasked_error() {
  return Error{Fault::unavailable, Side::local, 0, "hooks of handshakes are not asked about connections that requests share"};
}

Error unchosen_error() { return Error{Fault::closed, Side::upstream, 0, "upstream no longer chooses HTTP/2"}; }

Task<Result<StreamLease>> PeerPool::lease(const AttemptTarget& target, uint64_t deadline_ms) {
  if (target.connect.tls && target.connect.tls->questions) co_return unasked_error();
  LeaseWaiter waiter(worker_.loop(), target);
  group_of(target.key).enqueue(waiter);
  WaitStatus status = co_await waiter.decided.wait(deadline_ms);
  if (waiter.lease) co_return std::move(waiter.lease);
  if (status == WaitStatus::ready) co_return waiter.error;
  auto group = groups_.find(target.key.text);  // gone, if its last connection failed in this very turn
  if (target.connect.tls && group != groups_.end()) target.connect.tls->is_handshaking = group->second->is_handshaking();
  co_return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
}

}  // namespace fairlead::http::h2
