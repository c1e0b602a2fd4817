// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/worker.h"

#include <algorithm>

#include "core/conf/error_log.h"
#include "event/file/thread_pools.h"
#include "event/hooks.h"
#include "event/tls/record_buffers.h"

namespace fairlead {

// What keepalive_min_timeout is if nothing is configured and a successor serves.
static constexpr uint64_t min_timeout_with_successor_ms = 1000;
// How long a drain, of the whole server too, leaves a new connection for its first byte: the client may have sent it already, and it cannot
// know that its connection was about to end. Time for a TCP that sends it a second and a third time (after 1 s and 2 s more).
static constexpr uint64_t first_request_ms = 5000;

Worker::Worker(Loop& loop, Generation& generation, WorkerRow& row)
    : loop_(loop),
      generation_(generation),
      row_(row),
      files_(loop_, "default", find_thread_pool(generation, "default")->threads, find_thread_pool(generation, "default")->queue_max),
      acceptors_(loop_),
      connections_(loop_),
      detached_(loop_),
      background_(loop_),
      own_(loop_),
      hard_stop_([](Timer& t) {
        static_cast<HardStop&>(t).worker->say_drained();
      }),
      trim_([](Timer& t) {
        Worker* worker = static_cast<TrimTimer&>(t).worker;
        drop_record_buffers();
        if (pool_trim()) worker->loop_.arm(t, trim_interval_ms);
      }) {
  const EventsConf& events = conf<EventsConf>(generation.root());
  limits_.connections_max = events.worker_connections;
  limits_.multi_accept = events.multi_accept;
  hard_stop_.worker = trim_.worker = this;
  generation_.retain();
}

// Connections before the state of modules: a connection may hold things of a module (pooled upstream connections).
Worker::~Worker() {
  acceptors_.cancel();
  own_.cancel();
  connections_.cancel();
  detached_.cancel();
  background_.cancel();
  states_.clear();
  generation_.release();
}

void Worker::listen(int fd, ServeAccepted& server) { acceptors_.spawn(accept_loop(loop_, fd, connections_, limits_, server)); }

void Worker::drain(bool has_successor, uint64_t shutdown_timeout_ms, Resumable& drained) {
  if (draining_) return;
  draining_ = true;
  drained_ = &drained;
  row_.state.store(WorkerState::draining, std::memory_order_relaxed);
  acceptors_.cancel();
  background_.cancel();
  connections_.close();
  has_successor_ = has_successor;
  shorten_idle_waits();
  while (DrainAlert* alert = drain_alerts_.pop_front()) loop_.ready(alert->resumable);
  if (shutdown_timeout_ms) loop_.arm(hard_stop_, shutdown_timeout_ms);
  own_.spawn(finish_when_empty());
}

void Worker::lose_successor() {
  if (!draining_ || !has_successor_) return;
  has_successor_ = false;
  shorten_idle_waits();
}

void Worker::shorten_idle_waits() {
  for (IdleClient* client = idle_.front(); client; client = idle_.next(*client)) client->watch->limit_read_wait(idle_deadline_ms(*client));
}

void Worker::end_idle_clients() {
  constexpr uint64_t at_once_max = 32;
  uint64_t idle = row_.waiting.load(std::memory_order_relaxed);
  uint64_t count = std::clamp<uint64_t>(idle / 8, 1, at_once_max);
  while (count-- > 0 && !idle_.empty()) {
    IdleClient& client = *idle_.pop_front();
    client.makes_room = true;
    ending_.push_back(client);
    client.watch->limit_read_wait(loop_.now_ms());
  }
}

Room Worker::end_idle_peers() {
  while (!has_room()) {
    IdlePeers* fullest = idle_peers_.front();
    for (IdlePeers* pool = fullest; pool; pool = idle_peers_.next(*pool))
      if (pool->idle_count() > fullest->idle_count()) fullest = pool;
    Room made = fullest ? fullest->close_oldest() : Room::none;
    if (made != Room::free) return made;
  }
  return Room::free;
}

Room Worker::make_room(bool is_for_peer) {
  size_t left = has_room() ? limits_.connections_max - connections_in_use_ : 0;
  if (left > limits_.connections_max / 16) return Room::free;
  bool may_tell = !draining_ && !idle_.empty();
  if (may_tell) end_idle_clients();
  Room room = Room::free;
  if (left == 0) room = may_tell && !is_for_peer ? Room::soon : end_idle_peers();
  if (room == Room::none && !ending_.empty()) room = Room::soon;
  bool some_end = !ending_.empty() || (left == 0 && room != Room::none);
  if ((some_end || left == 0) && !draining_ && loop_.now_ms() >= next_complaint_ms_) {
    constexpr uint64_t complaint_interval_ms = 1000;
    next_complaint_ms_ = loop_.now_ms() + complaint_interval_ms;
    Logger logger(*conf<ErrorLogConf>(generation_.root()).log);
    if (some_end) logger.warn("{} worker_connections are not enough, reusing connections", limits_.connections_max);
    else logger.alert("{} worker_connections are not enough", limits_.connections_max);
  }
  return room;
}
uint64_t Worker::idle_deadline_ms(const IdleClient& client) const {
  if (client.makes_room) return loop_.now_ms();
  if (!draining_) return UINT64_MAX;
  uint64_t min_ms = client.min_timeout_ms;
  if (min_ms == UINT64_MAX) min_ms = has_successor_ ? min_timeout_with_successor_ms : 0;
  if (client.is_new) min_ms = std::max(min_ms, first_request_ms);
  return std::max(client.since_ms + min_ms, loop_.now_ms());
}

Task<Unit> Worker::finish_when_empty() {
  for (const Module* module : modules().all())
    if (module->event && module->event->leave) co_await module->event->leave(*this);
  co_await connections_.all_done();
  detached_.close();  // until here a request may set off more
  co_await detached_.all_done();
  for (const Module* module : modules().all())
    if (module->event && module->event->finish) co_await module->event->finish(*this);
  say_drained();
  co_return Unit();
}

void Worker::say_drained() {
  is_drained_ = true;
  loop_.ready(*drained_);
}

void Worker::start_modules() {
  for (const Module* module : modules().all())
    if (module->event && module->event->start) background_.spawn(module->event->start(*this));
}

void Worker::stop_modules() {
  for (const Module* module : modules().all())
    if (module->event && module->event->stop) module->event->stop(*this);
}

void Worker::reopen_modules() {
  for (const Module* module : modules().all())
    if (module->event && module->event->reopen) module->event->reopen(*this);
}

}  // namespace fairlead
