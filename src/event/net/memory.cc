// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/memory.h"


#include <algorithm>
#include <cerrno>

namespace fairlead {

// Both directions. Direction `i` carries what end `i` writes to end `1 - i`.
class MemoryWire {
 public:
  MemoryWire(Loop& loop, MemoryScript* a_to_b, MemoryScript* b_to_a, size_t buffer_bytes)
      : loop_(loop), buffer_bytes_(buffer_bytes), ways_{Way(this, 0), Way(this, 1)} {
    ways_[0].script = a_to_b ? a_to_b : &faultless_;
    ways_[1].script = b_to_a ? b_to_a : &faultless_;
  }

  void attach(int side, MemoryTransport* end) { ends_[side] = end; }

  IoResult write(int side, const iovec* vectors, int count);
  IoResult read(int side, char* to, size_t room);
  void finish(int side);
  void detach(int side);
  void reset();
  size_t unread_bytes(int side) const { return ways_[side].arrived.size() + ways_[side].in_flight_bytes; }

 private:
  struct Way;
  struct Arrival : Timer {
    explicit Arrival(Way* w) : Timer([](Timer& t) { static_cast<Arrival&>(t).way->wire->arrive(*static_cast<Arrival&>(t).way); }), way(w) {}
    Way* way;
  };
  struct Retry : Timer {
    explicit Retry(Way* w) : Timer([](Timer& t) { static_cast<Retry&>(t).way->wire->let_write(*static_cast<Retry&>(t).way); }), way(w) {}
    Way* way;
  };
  struct InFlight {
    uint64_t arrives_ms;
    std::string bytes;  // empty: the end
  };
  struct Way {
    Way(MemoryWire* w, int f) : wire(w), from(f), arrival(this), retry(this) {}
    MemoryWire* wire;
    int from;
    MemoryScript* script = nullptr;
    std::deque<InFlight> in_flight;
    size_t in_flight_bytes = 0;
    std::string arrived;
    bool ended = false;      // the end has arrived
    bool finished = false;   // nothing more is written
    bool full = false;       // the sender was told to wait
    Arrival arrival;
    Retry retry;
  };
  void send(Way& way, std::string bytes);
  void arrive(Way& way);
  void let_write(Way& way);
  void raise(int side, bool readable, bool writable, bool hangup) {
    if (ends_[side]) loop_.raise(ends_[side]->watch(), readable, writable, hangup);
  }

  Loop& loop_;
  size_t buffer_bytes_;
  MemoryScript faultless_;
  MemoryTransport* ends_[2] = {nullptr, nullptr};
  Way ways_[2];
  bool is_reset_ = false;
};

void MemoryWire::send(Way& way, std::string bytes) {
  uint64_t arrives = loop_.now_ms() + way.script->delay_ms();
  if (!way.in_flight.empty()) arrives = std::max(arrives, way.in_flight.back().arrives_ms);
  way.in_flight_bytes += bytes.size();
  way.in_flight.push_back({arrives, std::move(bytes)});
  if (!way.arrival.armed()) loop_.timers().arm(way.arrival, arrives);
}

void MemoryWire::arrive(Way& way) {
  while (!way.in_flight.empty() && way.in_flight.front().arrives_ms <= loop_.now_ms()) {
    InFlight& next = way.in_flight.front();
    way.in_flight_bytes -= next.bytes.size();
    if (next.bytes.empty()) way.ended = true;
    way.arrived += next.bytes;
    way.in_flight.pop_front();
  }
  if (!way.in_flight.empty()) loop_.timers().arm(way.arrival, way.in_flight.front().arrives_ms);
  if (!ends_[1 - way.from]) {
    // TCP answers bytes for a closed socket with a reset.
    if (!way.arrived.empty()) reset();
    return;
  }
  raise(1 - way.from, true, false, way.ended);
}

void MemoryWire::let_write(Way& way) {
  way.full = false;
  raise(way.from, false, true, false);
}

IoResult MemoryWire::write(int side, const iovec* vectors, int count) {
  Way& way = ways_[side];
  Watch& watch = ends_[side]->watch();
  if (is_reset_) return {IoStatus::failed, 0, ECONNRESET};
  if (way.finished) return {IoStatus::failed, 0, EPIPE};
  std::string offered;
  for (int i = 0; i < count; ++i) offered.append(static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len);
  FL_ASSERT(!offered.empty());
  size_t unread = unread_bytes(side);
  size_t room = buffer_bytes_ > unread ? buffer_bytes_ - unread : 0;
  size_t taken = std::min(offered.size(), room);
  if (way.full) taken = 0;
  else if (taken > 0) taken = std::min(way.script->accept_bytes(taken), taken);
  if (taken < offered.size()) {
    watch.set_ready(Direction::write, false);
    // A reader that makes room raises it; a script that says "full" has to be asked again.
    if (taken < room && !way.full) {
      way.full = true;
      loop_.arm(way.retry, way.script->full_ms());
    }
  }
  if (taken == 0) return {IoStatus::again};
  offered.resize(taken);
  send(way, std::move(offered));
  return {IoStatus::ok, taken};
}

IoResult MemoryWire::read(int side, char* to, size_t room) {
  Way& way = ways_[1 - side];
  Watch& watch = ends_[side]->watch();
  if (is_reset_) return {IoStatus::failed, 0, ECONNRESET};
  if (way.arrived.empty()) {
    if (way.ended) return {IoStatus::end};
    watch.set_ready(Direction::read, false);
    return {IoStatus::again};
  }
  size_t given = std::min(way.arrived.size(), room);
  given = std::clamp<size_t>(way.script->give_bytes(given), 1, given);
  bool was_full = unread_bytes(1 - side) >= buffer_bytes_;
  way.arrived.copy(to, given);
  way.arrived.erase(0, given);
  if (way.arrived.empty() && !way.ended) watch.set_ready(Direction::read, false);
  if (was_full && !way.full) raise(1 - side, false, true, false);
  return {IoStatus::ok, given};
}

void MemoryWire::finish(int side) {
  Way& way = ways_[side];
  if (way.finished || is_reset_) return;
  way.finished = true;
  send(way, {});
}

void MemoryWire::detach(int side) {
  if (unread_bytes(1 - side) > 0 && !is_reset_) reset();
  finish(side);
  ends_[side] = nullptr;
  ways_[side].retry.disarm();
}

void MemoryWire::reset() {
  if (is_reset_) return;
  is_reset_ = true;
  for (Way& way : ways_) {
    way.in_flight.clear();
    way.in_flight_bytes = 0;
    way.arrived.clear();
    way.arrival.disarm();
    way.retry.disarm();
  }
  raise(0, true, true, true);
  raise(1, true, true, true);
}

MemoryTransport::~MemoryTransport() {
  wire_->detach(side_);
  watch_->loop().unwatch(watch_);
}

IoResult MemoryTransport::read(char* to, size_t room) { return wire_->read(side_, to, room); }
IoResult MemoryTransport::write(const iovec* vectors, int count) { return wire_->write(side_, vectors, count); }

void MemoryTransport::shutdown_write() { wire_->finish(side_); }
void MemoryTransport::reset() { wire_->reset(); }
size_t MemoryTransport::unread_bytes() const { return wire_->unread_bytes(side_); }

MemoryPair MemoryPair::make(Loop& loop, MemoryScript* a_to_b, MemoryScript* b_to_a, size_t buffer_bytes) {
  auto wire = std::make_shared<MemoryWire>(loop, a_to_b, b_to_a, buffer_bytes);
  MemoryPair pair;
  for (int side = 0; side < 2; ++side) {
    Watch* watch = loop.watch_memory();
    loop.raise(*watch, false, true, false);
    auto& end = side == 0 ? pair.a : pair.b;
    end.reset(new MemoryTransport(watch, wire, side));
    wire->attach(side, end.get());
  }
  return pair;
}

}  // namespace fairlead
