// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Connection: a transport with its unread bytes and counts, client or upstream side. Everything that waits for bytes waits here. It
// knows no protocol. Owned by the frame that serves it (client) or by the pool or attempt (upstream). An idle Connection holds no
// buffer: the segment is taken by fill() and given back by release_if_empty().
#pragma once

#include <memory>
#include <new>
#include <optional>
#include <string_view>

#include "core/base/buffer.h"
#include "event/loop/loop.h"
#include "event/loop/task.h"
#include "event/net/transport.h"

namespace fairlead {

class Connection {
 public:
  // Takes the socket of `watch` (registered edge-triggered) and its descriptor.
  Connection(Watch* watch, Side side) : side_(side) { transport_ = new (&plain_) PlainTransport(watch); }
  // Over any transport, which is owned elsewhere and outlives the connection.
  Connection(Transport& transport, Side side) : transport_(&transport), side_(side) {}
  ~Connection() {
    bool owns_plain = transport_ == &plain_ || layer_;
    layer_.reset();
    if (owns_plain) plain_.~PlainTransport();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Loop& loop() const { return watch().loop(); }
  Watch& watch() const { return transport_->watch(); }
  Transport& transport() const { return *transport_; }
  // From now on bytes go through `layer` (TLS), which works on the transport that was there before and is destroyed ahead of it. Only
  // over a socket of this connection's own. Bytes that were read before belong to the layer: it is given them by take_slice().
  void add_layer(std::unique_ptr<Transport> layer) {
    FL_ASSERT(transport_ == &plain_ && unread().empty());
    layer_ = std::move(layer);
    transport_ = layer_.get();
  }
  bool has_layer() const { return layer_ != nullptr; }
  Side side() const { return side_; }

  // -- plain calls: they never wait --

  // Bytes that were read and not consumed. They lie in segment(), contiguous.
  // May a read give something, as far as is known? Else nothing comes before the descriptor is ready.
  bool may_read() const { return watch().is_ready(transport().read_wait()) || transport().has_pending(); }
  std::string_view unread() const { return {segment_ ? segment_->bytes() + begin_ : nullptr, end_ - begin_}; }
  const SegmentRef& segment() const { return segment_; }
  void consume(size_t bytes) {
    FL_ASSERT(bytes <= end_ - begin_);
    begin_ += static_cast<uint32_t>(bytes);
  }
  // A slice of the first `bytes` unread bytes, consumed; it keeps the segment alive.
  Slice take_slice(size_t bytes) {
    Slice slice(segment_, segment_->bytes() + begin_, bytes);
    consume(bytes);
    return slice;
  }
  // One read into the room behind the unread bytes. There is room for at least `room_min` bytes afterwards: if the segment has less, or
  // others still look at it, the unread bytes move to a new one of `capacity` (the bytes then have a new address).
  IoResult fill(size_t capacity, size_t room_min = 1);
  // Gives the segment back if nothing unread is in it.
  void release_if_empty() {
    if (begin_ == end_) {
      segment_.reset();
      begin_ = end_ = 0;
    }
  }
  // Writes what the socket takes and drops it from `out`. `again`: something is left. A failure marks the connection broken.
  IoResult try_write(Chain& out);
  // As try_write, for `bytes` of a file at `offset`; gives what was sent.
  IoResult try_send_file(int file, uint64_t offset, size_t bytes);

  // -- awaitables --

  IoWait readable(uint64_t deadline_ms) { return IoWait(watch(), transport_->read_wait(), deadline_ms); }
  IoWait writable(uint64_t deadline_ms) { return IoWait(watch(), transport_->write_wait(), deadline_ms); }
  // Writes all of `out`; each wait for the socket is bounded by `timeout_ms` (0: not). Destroyed in mid-write it leaves the connection
  // broken.
  Task<Result<Unit>> write(Chain& out, uint64_t timeout_ms);

  // Broken: never pooled, never written again.
  bool is_broken() const { return broken_; }
  void mark_broken() { broken_ = true; }
  // Close sends a reset instead of an orderly end (reset_timedout_connection).
  void reset_on_close();

  uint64_t received_bytes() const { return received_; }
  uint64_t sent_bytes() const { return sent_; }
  // Fault, in the words of the log, of a failed read or write.
  Error error_of(const IoResult& result, const char* what) const;

 private:
  union { PlainTransport plain_; };  // alive if it is the transport or lies under a layer
  Transport* transport_ = nullptr;
  std::unique_ptr<Transport> layer_;
  SegmentRef segment_;
  uint32_t begin_ = 0, end_ = 0;
  uint64_t received_ = 0, sent_ = 0;
  Side side_;
  bool broken_ = false;
};

}  // namespace fairlead
