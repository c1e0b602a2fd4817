// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HTTP/2 towards a peer: one exchange on a stream of a connection that others share (pool.h). Plain calls; who waits is the forwarder. What
// nghttp2 reports is recorded here and looked at by poll_head().
#pragma once

#include <vector>

#include "http/h2/pool.h"
#include "http/h2/stream.h"
#include "http/request/peer_exchange.h"

namespace fairlead::http::h2 {


struct HeldLease {
  StreamLease lease;
};

// The bases are in the order of their making: the lease keeps the session that the stream leaves when it dies.
class ClientExchange final : public PeerExchange, private HeldLease, private Stream {
 public:
  ClientExchange(const PeerCall& call, StreamLease lease);
  ~ClientExchange() override = default;

  Progress pump(Body& body) override;
  Error send_error() const override { return open_failed_ ? refused_error() : Stream::error(); }
  bool has_pulled_body() const override { return Stream::has_pulled(); }
  HeadPoll poll_head() override;
  Error head_error() const override { return head_error_; }
  std::string_view error_detail() const override { return error_detail_; }
  Body& body() override { return Stream::received(); }
  PeerWait readable(uint64_t deadline_ms) override { return PeerWait(head_event_, deadline_ms); }
  PeerWait writable(uint64_t deadline_ms) override { return PeerWait(Stream::sendable_event(), deadline_ms); }
  bool has_hung_up() const override { return Stream::is_closed(); }
  bool is_reused() const override { return reused_; }
  bool is_stale() const override { return reused_ && Stream::is_lost() && !has_answer_; }
  bool is_unread() const override { return is_refused(); }
  bool is_refused() const override { return open_failed_ || (Stream::is_closed() && close_code() == ErrorCode::refused_stream); }
  uint64_t sent_bytes() const override { return Stream::sent_wire_bytes(); }
  uint64_t received_bytes() const override { return Stream::head_wire_bytes() + Stream::received_wire_bytes(); }
  bool carries_tunnel() const override { return asks_tunnel(); }
  const char* end(bool uploaded) override;

 private:
  bool asks_tunnel() const { return !what_.fields->protocol.empty(); }
  bool open();
  void take_field(std::string_view name, std::string_view value) override;
  void take_head(bool ends_stream) override;
  void take_invalid_field(std::string_view name) override;
  void take_violation(std::string_view what) override;
  void on_closed() override { head_event_.set(); }
  void take_status(std::string_view value);
  void take_trailer(std::string_view name, std::string_view value);
  void take_final_head();
  void fail_head(Fault fault, const char* what, std::string_view detail = {});
  Error closed_error();
  Error refused_error() const { return Error{Fault::closed, Side::upstream, 0, "upstream refused the stream"}; }

  Arena& arena_;
  const AttemptTarget& target_;
  const AttemptRequest& what_;
  ResponseHead& head_;
  Headers* block_;                    // where the fields of the header block in work go; nullptr: nowhere
  ResponseHead* interim_head_ = nullptr;     // of the block in work
  std::vector<ResponseHead*> interim_heads_; // not yet told of
  const InterimHook interim_hook_;
  Headers* trailers_ = nullptr;
  size_t head_bytes_ = 0;             // as RFC 9113 section 6.5.2 counts, of the block in work
  Event head_event_;
  uint16_t block_status_ = 0;
  uint64_t interim_ = 0;
  bool reused_;
  bool opened_ = false;
  bool open_failed_ = false;
  bool has_answer_ = false;           // any head has begun
  bool head_done_ = false;
  std::string_view error_detail_;
  std::string_view violation_;        // how the peer broke the protocol on this stream
  Error head_error_;
};

// AttemptTarget::limits is set by who uses it.
class ClientProtocol final : public PeerProtocol {
 public:
  constexpr ClientProtocol() : PeerProtocol("h2") {}
  PeerExchange* try_open(const PeerCall& call) const override;
  Task<Result<PeerExchange*>> open(PeerCall call, uint64_t deadline_ms) const override;
  // On a stream that was leased. Waits if its tunnel depends on settings that are not known yet.
  Task<Result<PeerExchange*>> open_on(StreamLease lease, PeerCall call, uint64_t deadline_ms) const;
};

extern const ClientProtocol client_protocol;
// What it is called in a handshake (RFC 9113 section 3.2), behind its length.
constexpr std::string_view alpn_protocol = "\x02h2";

}  // namespace fairlead::http::h2
