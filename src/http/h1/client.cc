// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h1/client.h"

#include "core/base/escape.h"
#include "http/message/status.h"
#include "http/request/request.h"

namespace fairlead::http::h1 {

constinit const ClientProtocol client_protocol;

static_assert(sizeof(ClientExchange) <= ExchangePlace::bytes);

PeerExchange* ClientProtocol::make(const PeerCall& call, std::unique_ptr<PooledConnection> connection) const {
  return call.place.make<ClientExchange>(call.arena, call, std::move(connection));
}

ClientExchange::ClientExchange(const PeerCall& call, std::unique_ptr<PooledConnection> connection)
    : peer_(std::move(connection), call.target),
      arena_(call.arena),
      logger_(call.logger),
      target_(call.target),
      head_(call.reply),
      sender_(*peer_),
      method_(call.what.method),
      reused_(peer_.is_reused()),
      interim_(call.interim) {
  parser_.emplace(head_);
  rules_.timeout_ms = call.target.read_timeout_ms;
  sender_.out().append_shared(call.what.head);
  if (!call.what.has_body) sender_.begin(SendFraming::none);
  else if (call.what.length) sender_.begin(SendFraming::length, *call.what.length);
  else sender_.begin(SendFraming::chunked);
}

Connection* ClientExchange::tunnel() {
  is_tunnel_ = true;
  return &*peer_;
}

const char* ClientExchange::end(bool uploaded) {
  bool reusable = uploaded && !is_tunnel_ && is_reusable();
  const char* said = reusable ? nullptr : surplus();
  peer_.give_back(reusable);
  return said;
}

const char* ClientExchange::surplus() const {
  if (is_tunnel_ || head_.status == 101 || !body_ || !body_->is_complete() || peer_->unread().empty()) return nullptr;
  if (method_ == Method::head) return "upstream sent a body in reply to a HEAD request";
  if (head_.framing.chunked && has_body(head_.status)) return "upstream sent data after final chunk";
  return "upstream sent more data than specified in \"Content-Length\" header";
}

static constexpr Error too_big{Fault::too_large, Side::upstream, 0, "upstream sent too big header"};

HeadPoll ClientExchange::read_more() {
  Connection& peer = *peer_;
  if (!peer.may_read()) return HeadPoll::pending;
  if (peer.unread().size() >= target_.head_bytes_max)
    return fail(too_big);
  IoResult result = peer.fill(target_.head_bytes_max);
  switch (result.status) {
    case IoStatus::ok: answer_bytes_ = true; return HeadPoll::done;
    case IoStatus::again: return HeadPoll::pending;
    case IoStatus::end: return fail(Error{Fault::closed, Side::upstream, 0, "upstream prematurely closed connection"});
    case IoStatus::failed: break;
  }
  return fail(peer.error_of(result, "recv() failed"));
}

[[gnu::cold]] void ClientExchange::log_left_out(std::string_view line) const {
  std::string shown;
  escape_append(Escape::error_log, shown, line.substr(0, line.find_first_of("\r\n")));
  logger_.warn("upstream sent invalid header line: \"{}\", ignored while reading response header from upstream", shown);
}

HeadPoll ClientExchange::poll_head() {
  Connection& peer = *peer_;
  for (;;) {
    ParseResult parsed = peer.unread().empty() ? ParseResult::need_more : parser_->parse(peer.unread());
    if (parsed == ParseResult::failed) return fail(Error{Fault::malformed, Side::upstream, 0, parser_->error().what});
    if (parsed == ParseResult::no_header) {
      begin_headless_body();
      return HeadPoll::done;
    }
    if (parsed == ParseResult::need_more) {
      HeadPoll more = read_more();
      if (more != HeadPoll::done) return more;
      continue;
    }
    // However much came with it at once: the limit is the head's, not that of a read.
    if (parser_->consumed() > target_.head_bytes_max) return fail(too_big);
    if (!parser_->left_out().empty()) [[unlikely]] log_left_out(parser_->left_out());
    // Views of the head are looked at until the log is written, when the connection may serve others or be gone.
    arena_.make<SegmentRef>(peer.segment());
    peer.consume(parser_->consumed());
    if (is_interim(head_.status)) {
      if (++interim_seen_ > target_.interim_max)
        return fail(Error{Fault::malformed, Side::upstream, 0, "upstream sent too many interim responses"});
      if (interim_.tell) interim_.tell(interim_.whom, head_);
      head_.headers.clear();
      head_.framing = Framing();
      parser_.emplace(head_);
      continue;
    }
    begin_body();
    return HeadPoll::done;
  }
}

void ClientExchange::begin_headless_body() {
  headless_ = true;
  head_.headers.clear();
  head_.framing = Framing();
  head_.status = 200;
  head_.reason = {};
  body_ = arena_.make<ReceivedBody>(*peer_, Coding::until_close, no_length, rules_, nullptr);
}

// RFC 9112 section 6.3.
void ClientExchange::begin_body() {
  Coding coding = Coding::until_close;
  if (method_ == Method::head || !has_body(head_.status)) coding = Coding::none;
  else if (head_.framing.chunked) coding = Coding::chunked;
  else if (head_.framing.content_length != no_length) coding = Coding::length;
  Trailers* trailers = coding == Coding::chunked ? arena_.make<Trailers>(arena_, 0u) : nullptr;
  body_ = arena_.make<ReceivedBody>(*peer_, coding, head_.framing.content_length, rules_, trailers);
}

}  // namespace fairlead::http::h1
