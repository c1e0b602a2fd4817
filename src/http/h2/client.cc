// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/client.h"

#include <cerrno>

#include "core/base/format.h"
#include "core/base/text.h"
#include "event/net/room.h"
#include "event/tls/client.h"
#include "http/h2/field_list.h"
#include "http/message/status.h"
#include "http/request/peer_connection.h"
#include "http/request/request.h"

namespace fairlead::http::h2 {

constinit const ClientProtocol client_protocol;

// RFC 9113 section 6.5.2: what a field counts besides its texts.
static constexpr size_t field_overhead_bytes = 32;
static constexpr size_t trailers_max = 100;

static std::string_view name_of(ErrorCode code) {
  static constexpr std::string_view names[] = {"NO_ERROR",          "PROTOCOL_ERROR",   "INTERNAL_ERROR",    "FLOW_CONTROL_ERROR",
                                               "SETTINGS_TIMEOUT",  "STREAM_CLOSED",    "FRAME_SIZE_ERROR",  "REFUSED_STREAM",
                                               "CANCEL",            "COMPRESSION_ERROR", "CONNECT_ERROR",    "ENHANCE_YOUR_CALM",
                                               "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"};
  auto index = static_cast<size_t>(code);
  return index < std::size(names) ? names[index] : std::string_view("unknown error");
}

ClientExchange::ClientExchange(const PeerCall& call, StreamLease lease_taken)
    : HeldLease{std::move(lease_taken)},
      Stream(lease.session(), Side::upstream),
      arena_(call.arena),
      target_(call.target),
      what_(call.what),
      head_(call.reply),
      block_(&head_.headers),
      interim_hook_(call.interim),
      head_event_(lease.session().loop()),
      reused_(lease.is_reused()) {
  head_.version_major = 2;
  head_.version_minor = 0;
  Stream::limit_received(UINT64_MAX, asks_tunnel() ? 0 : target_.read_timeout_ms);  // how long a tunnel may idle is its own matter
}

// -- what goes out --

bool ClientExchange::open() {
  const RequestFields& request = *what_.fields;
  FieldList fields;
  fields.add(":method", request.method);
  fields.add(":scheme", request.scheme);
  if (!request.authority.empty()) fields.add(":authority", request.authority);
  fields.add(":path", request.path);
  if (asks_tunnel()) fields.add(":protocol", request.protocol);
  for (const Headers::Field& field : request.fields) fields.add(field.name, field.value);
  opened_ = session().open(*this, fields, what_.has_body || asks_tunnel());
  open_failed_ = !opened_;
  return opened_;
}

Progress ClientExchange::pump(Body& body) {
  bool begins = !opened_;
  if (open_failed_ || (begins && !open())) return Progress::failed;
  if (asks_tunnel() && begins) {  // the head is all; what follows belongs to the tunnel, if there will be one
    session().send();
    return Progress::done;
  }
  return what_.has_body || asks_tunnel() ? Stream::pump(body) : Stream::pump_head();
}

const char* ClientExchange::end(bool) {
  Stream::reset(ErrorCode::cancel);
  return nullptr;
}

// -- what comes in; called from inside nghttp2 --

void ClientExchange::fail_head(Fault fault, const char* what, std::string_view detail) {
  if (head_error_.fault != Fault::none) return;
  head_error_ = Error{fault, Side::upstream, 0, what};
  error_detail_ = arena_.copy(detail);
  head_event_.set();
}

void ClientExchange::take_status(std::string_view value) {
  auto status = parse_decimal(value);
  if (!status || value.size() != 3 || *status < 100) return fail_head(Fault::malformed, "upstream sent invalid status", value);
  block_status_ = static_cast<uint16_t>(*status);
  if (block_status_ == 101) return fail_head(Fault::malformed, "upstream sent unexpected 101 response");
  if (!is_interim(block_status_)) return;
  if (++interim_ > target_.interim_max) return fail_head(Fault::malformed, "upstream sent too many interim responses");
  interim_head_ = interim_hook_.tell ? arena_.make<ResponseHead>(arena_) : nullptr;
  block_ = interim_head_ ? &interim_head_->headers : nullptr;
  if (interim_head_) interim_head_->status = block_status_;
}

void ClientExchange::take_field(std::string_view name, std::string_view value) {
  has_answer_ = true;
  if (head_error_.fault != Fault::none) return;
  head_bytes_ += name.size() + value.size() + field_overhead_bytes;
  if (head_done_) return take_trailer(name, value);
  if (head_bytes_ > target_.head_bytes_max) return fail_head(Fault::too_large, "upstream sent too big header");
  if (name == ":status") return take_status(value);
  if (!block_ || name.empty() || name[0] == ':') return;
  block_->add(arena_.copy(name), arena_.copy(value));
}

// The head may not have been looked at yet: whatever is wrong with trailers must not make another answer of it.
void ClientExchange::take_trailer(std::string_view name, std::string_view value) {
  if (!trailers_) trailers_ = arena_.make<Headers>(arena_, 4u);
  if (name.empty() || name[0] == ':' || head_bytes_ > trailer_bytes_max || trailers_->size() >= trailers_max) return;
  trailers_->add(arena_.copy(name), arena_.copy(value));
}

void ClientExchange::take_invalid_field(std::string_view name) {
  if (!head_done_) fail_head(Fault::malformed, "upstream sent invalid header", name);
}

void ClientExchange::take_violation(std::string_view what) {
  if (violation_.empty()) violation_ = arena_.copy(what);
}

void ClientExchange::take_head(bool) {
  has_answer_ = true;
  head_bytes_ = 0;
  if (head_error_.fault != Fault::none) return;
  if (head_done_) {
    if (trailers_) Stream::set_trailers(trailers_);
    return;
  }
  if (is_interim(block_status_)) {
    if (interim_head_) interim_heads_.push_back(interim_head_);
    block_ = &head_.headers;
  } else {
    take_final_head();
  }
  head_event_.set();
}

void ClientExchange::take_final_head() {
  head_done_ = true;
  head_.status = block_status_;
  head_.framing.keep_alive = true;
  if (asks_tunnel() && block_status_ / 100 == 2) {  // RFC 8441 section 5: what a 101 is in HTTP/1.1
    head_.status = 101;
    head_.headers.add(KnownHeader::upgrade, what_.fields->protocol);
    return;
  }
  const Headers::Field* length = head_.headers.find(KnownHeader::content_length);
  if (!length) return;
  auto bytes = parse_decimal(length->value);  // nghttp2 holds the body to it
  if (!bytes || *bytes > INT64_MAX) return fail_head(Fault::malformed, "upstream sent invalid \"Content-Length\" header", length->value);
  head_.framing.content_length = static_cast<int64_t>(*bytes);
  if (what_.method != Method::head && has_body(head_.status)) Stream::expect_received(*bytes);
}

// -- what the forwarder sees --

Error ClientExchange::closed_error() {
  if (Stream::is_unsendable()) return Stream::closed_error();
  if (Stream::is_lost()) return Error{Fault::closed, Side::upstream, 0, "upstream prematurely closed connection"};
  const char* what = arena_.copy_z(format("upstream rejected request with error {}", static_cast<uint32_t>(close_code())));
  if (close_code() == ErrorCode::refused_stream) return Error{Fault::closed, Side::upstream, 0, what};
  if (close_code() == ErrorCode::no_error) return Error{Fault::closed, Side::upstream, 0, "upstream prematurely closed stream"};
  if (Stream::is_violated()) {
    error_detail_ = violation_;
    return Error{Fault::malformed, Side::upstream, 0, "upstream sent invalid frames"};
  }
  error_detail_ = name_of(close_code());
  bool malformed = close_code() == ErrorCode::protocol_error;
  return Error{malformed ? Fault::malformed : Fault::reset, Side::upstream, 0, what};
}

HeadPoll ClientExchange::poll_head() {
  for (ResponseHead* interim : interim_heads_) interim_hook_.tell(interim_hook_.whom, *interim);
  interim_heads_.clear();
  if (head_error_.fault != Fault::none) return HeadPoll::failed;
  if (head_done_) return HeadPoll::done;
  if (Stream::is_closed() || open_failed_) {
    head_error_ = open_failed_ ? refused_error() : closed_error();
    return HeadPoll::failed;
  }
  head_event_.reset();
  return HeadPoll::pending;
}

// -- the protocol --

// An extended CONNECT depends on settings that may have to be waited for (RFC 8441 section 3).
PeerExchange* ClientProtocol::try_open(const PeerCall& call) const {
  if (!call.what.fields->protocol.empty() || call.target.is_fresh) return nullptr;
  StreamLease lease = call.worker.state<PeerPool>().try_lease(call.target);
  return lease ? call.place.make<ClientExchange>(call.arena, call, std::move(lease)) : nullptr;
}

// On a connection that is made for it and that others may share from then on.
static Task<Result<StreamLease>> lease_new(PeerCall call, uint64_t deadline_ms) {
  const TlsTarget* tls = call.target.connect.tls;
  if (tls && tls->questions) co_return unasked_error();
  auto connected = co_await connect_peer(call, deadline_ms);
  if (!connected) co_return connected.error();
  if (tls && (*connected)->connection.transport().alpn() != "h2") co_return unchosen_error();
  StreamLease lease = call.worker.state<PeerPool>().adopt(call.target, std::move(*connected));
  if (!lease) co_return Error{Fault::closed, Side::upstream, 0, "upstream prematurely closed connection"};
  co_return std::move(lease);
}

Task<Result<PeerExchange*>> ClientProtocol::open(PeerCall call, uint64_t deadline_ms) const {
  Worker& worker = call.worker;
  PeerPool& pool = worker.state<PeerPool>();
  StreamLease lease;
  if (call.target.is_fresh && worker.has_room() && !pool.is_full(call.target)) {
    auto leased = co_await lease_new(call, deadline_ms);
    if (!leased) co_return leased.error();
    co_return co_await open_on(std::move(*leased), call, deadline_ms);
  }
  if (!call.what.fields->protocol.empty() || call.target.is_fresh) lease = pool.try_lease(call.target);
  if (!lease) {
    // Without room for another connection one may still wait for a stream of those that are there.
    bool is_room = true;
    if (pool.lacks_connection(call.target)) is_room = co_await find_room(worker);
    if (!is_room) {
      Error told = no_room(call);
      if (!pool.has_connection(call.target)) co_return told;
    }
    auto leased = co_await pool.lease(call.target, deadline_ms);
    if (!leased) co_return leased.error();
    lease = std::move(*leased);
  }
  co_return co_await open_on(std::move(lease), call, deadline_ms);
}

Task<Result<PeerExchange*>> ClientProtocol::open_on(StreamLease lease, PeerCall call, uint64_t deadline_ms) const {
  if (!call.what.fields->protocol.empty()) {
    WaitStatus status = co_await lease.settled(deadline_ms);
    if (status == WaitStatus::timeout) co_return Error{Fault::timeout, Side::upstream, ETIMEDOUT, "upstream timed out"};
    if (!lease.has_settings()) co_return Error{Fault::closed, Side::upstream, 0, "upstream prematurely closed connection"};
    if (lease.session().peer_setting(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) != 1)
      co_return Error{Fault::unsupported, Side::upstream, 0, "upstream does not allow WebSockets over HTTP/2 by its settings"};
  }
  co_return call.place.make<ClientExchange>(call.arena, call, std::move(lease));
}

}  // namespace fairlead::http::h2
