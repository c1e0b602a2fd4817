// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Worker: everything that lives as long as a serving process: the loop, the connections, the background work, the state of modules. It
// starts, drains and stops; what a connection speaks is not its business. Passed by reference; one per process.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "core/base/list.h"
#include "core/conf/generation.h"
#include "event/events_conf.h"
#include "event/file/blocking.h"
#include "event/loop/loop.h"
#include "event/loop/nursery.h"
#include "core/shm/worker_slots.h"
#include "event/net/acceptor.h"

namespace fairlead {

inline uint16_t worker_state_count = 0;
template <class T>
inline const uint16_t worker_state = worker_state_count++;

// A client connection that waits for its next request. Linked while idle; draining and the want of room shorten the wait.
struct IdleClient : Link {
  Watch* watch = nullptr;
  uint64_t since_ms = 0;
  uint64_t min_timeout_ms = UINT64_MAX;  // keepalive_min_timeout; UINT64_MAX: the default
  bool is_new = false;                   // no request yet: it may be on its way
  bool makes_room = false;               // it is to end now, see Worker::make_room()
};

// Told, through the ready list, when the worker begins to drain: who serves something that lasts (a connection with many requests, a
// tunnel). Leaves the list when destroyed.
struct DrainAlert : Link {
  explicit DrainAlert(Resumable& alert) : resumable(alert) {}
  Resumable& resumable;
};

// A pool of connections to peers. It is told where another connection needs the place of one that is idle.
class IdlePeers : public Link {
 public:
  virtual size_t idle_count() const = 0;
  // The one that has been idle longest ends: its place is free now, or within this turn of the loop. None: there is none.
  virtual Room close_oldest() = 0;

 protected:
  ~IdlePeers() = default;
};

class Worker {
 public:
  // `row`: where this worker counts its connections, on the board that all processes see.
  Worker(Loop& loop, Generation& generation, WorkerRow& row);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  Loop& loop() { return loop_; }
  Generation& generation() { return generation_; }
  WorkerRow& row() { return row_; }
  // The board that the row is part of; it outlives the worker.
  void use_board(WorkerSlots& board) { board_ = &board; }
  // nullptr: there is none.
  const WorkerSlots* board() const { return board_; }
  // The number of its slot among the workers of the configuration, from 0.
  void use_index(unsigned index) { index_ = index; }
  unsigned index() const { return index_; }
  // Over all workers of the board; of this one alone without a board.
  ConnectionCounts counts() const { return board_ ? board_->counts() : counts_of(row_); }

  // Serves a listening socket until drained. `server` outlives the worker.
  void listen(int fd, ServeAccepted& server);
  // Background work: bounded by drain, cancelled by it.
  Nursery& background() { return background_; }
  // Work that clients set off and do not wait for: finished by a drain as their own requests are.
  Nursery& detached() { return detached_; }

  // Unique on the board.
  uint64_t next_connection_number() {
    if (board_ && next_number_ % numbers_at_once == 1) next_number_ = board_->take_numbers(numbers_at_once);
    return next_number_++;
  }
  // Connections in use, client and upstream; the acceptor stops at the limit.
  bool has_room() const { return connections_in_use_ < limits_.connections_max; }
  // For one more connection. Where few places are left (one of sixteen, as nginx) the clients that have been idle longest are told to end:
  // they do within two turns of the loop, but for those of HTTP/2, which get a GOAWAY first. Where no place is left and none of them could
  // be told, or `is_for_peer`, idle connections to peers end. The log is told, once a second.
  Room make_room(bool is_for_peer = false);
  void connection_opened() { ++connections_in_use_; }
  void connection_closed() {
    --connections_in_use_;
    if (!trim_.armed()) loop_.arm(trim_, trim_interval_ms);
  }

  // A pool that may hold idle connections from now on; it leaves the list when it is destroyed.
  void note_idle_peers(IdlePeers& pool) { idle_peers_.push_back(pool); }
  void client_idle(IdleClient& client) { idle_.push_back(client); }
  bool is_draining() const { return draining_; }
  // The server is about to end, or ends: nobody will serve here soon. False while another worker follows this one.
  bool is_server_leaving() const { return (draining_ && !has_successor_) || (board_ && board_->is_leave_announced()); }
  // At once if it is draining already.
  void alert_drain(DrainAlert& alert) {
    if (draining_) loop_.ready(alert.resumable);
    else drain_alerts_.push_back(alert);
  }
  // When what is left is cut off (worker_shutdown_timeout); 0: never, or it does not drain.
  uint64_t drain_deadline_ms() const { return hard_stop_.armed() ? hard_stop_.expires_ms() : 0; }
  // Nothing is left, or the time is over: `drained` has been put on the ready list.
  bool is_drained() const { return is_drained_; }
  // When `client`, idle since since_ms, is closed at the latest because of the drain; UINT64_MAX while there is none.
  uint64_t idle_deadline_ms(const IdleClient& client) const;
  // Stop accepting, close idle clients, let the rest finish; then `drained` is put on the ready list. `has_successor`: another worker takes
  // new connections meanwhile.
  void drain(bool has_successor, uint64_t shutdown_timeout_ms, Resumable& drained);
  // The one that a drain counted on ends, too: clients that idle are not waited for any longer.
  void lose_successor();
  // What the modules do at the begin and the end, and when log files were renamed.
  void start_modules();
  void stop_modules();
  void reopen_modules();

  BlockingPool& files() { return files_; }

  // State of a module for this worker, made on first use as T(worker).
  template <class T>
  T& state() {
    uint16_t index = worker_state<T>;
    if (states_.size() <= index) states_.resize(index + 1u);
    if (!states_[index]) states_[index] = std::make_unique<Holder<T>>(*this);
    return static_cast<Holder<T>*>(states_[index].get())->value;
  }
  const AcceptLimits& limits() const { return limits_; }

 private:
  // How often memory that a burst left behind is looked at. The timer runs only while there is any.
  static constexpr uint64_t trim_interval_ms = 20'000;
  // Of connections: so many are taken from the board in one step, which all workers share.
  static constexpr uint64_t numbers_at_once = 64;
  struct HolderBase {
    virtual ~HolderBase() = default;
  };
  template <class T>
  struct Holder : HolderBase {
    explicit Holder(Worker& worker) : value(worker) {}
    T value;
  };
  Task<Unit> finish_when_empty();
  void say_drained();
  void end_idle_clients();
  void shorten_idle_waits();
  // Of the pool that has most of them, until there is a place.
  Room end_idle_peers();

  Loop& loop_;
  Generation& generation_;
  WorkerRow& row_;
  List<IdleClient> idle_, ending_;  // oldest first; ending: those that make room
  bool draining_ = false;
  bool has_successor_ = false;  // of a drain
  bool is_drained_ = false;
  WorkerSlots* board_ = nullptr;
  unsigned index_ = 0;
  AcceptLimits limits_;
  List<IdlePeers> idle_peers_;
  uint64_t next_complaint_ms_ = 0;  // of make_room()
  List<DrainAlert> drain_alerts_;
  size_t connections_in_use_ = 0;
  uint64_t next_number_ = 1;
  Resumable* drained_ = nullptr;
  BlockingPool files_;
  std::vector<std::unique_ptr<HolderBase>> states_;
  Nursery acceptors_, connections_, detached_, background_, own_;
  struct HardStop : Timer {
    using Timer::Timer;
    Worker* worker = nullptr;
  } hard_stop_;
  struct TrimTimer : Timer {
    using Timer::Timer;
    Worker* worker = nullptr;
  } trim_;
};

// One of the worker's connections (worker_connections), from its making to its end.
class ConnectionSlot {
 public:
  ConnectionSlot() = default;
  explicit ConnectionSlot(Worker& worker) : worker_(&worker) { worker.connection_opened(); }
  ConnectionSlot(ConnectionSlot&& other) noexcept : worker_(std::exchange(other.worker_, nullptr)) {}
  ConnectionSlot& operator=(ConnectionSlot&& other) noexcept {
    std::swap(worker_, other.worker_);
    return *this;
  }
  ~ConnectionSlot() {
    if (worker_) worker_->connection_closed();
  }
  // nullptr: it is nobody's.
  Worker* worker() const { return worker_; }

 private:
  Worker* worker_ = nullptr;
};

}  // namespace fairlead
