// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h1/client.h"

#include "http/message/status.h"

namespace fairlead::http::h1 {

// A cap on interim responses before the answer, so that a peer cannot keep a request busy for ever.
static constexpr int interim_max = 32;

ClientExchange::HeadPoll ClientExchange::read_more() {
  if (!peer_.watch().is_ready(peer_.transport().read_wait()) && !peer_.transport().has_pending()) return HeadPoll::pending;
  if (peer_.unread().size() >= head_bytes_max_) return fail(Error{Fault::too_large, Side::upstream, 0, "upstream sent too big header"});
  IoResult result = peer_.fill(head_bytes_max_);
  switch (result.status) {
    case IoStatus::ok: answer_bytes_ = true; return HeadPoll::done;
    case IoStatus::again: return HeadPoll::pending;
    case IoStatus::end: return fail(Error{Fault::closed, Side::upstream, 0, "upstream prematurely closed connection"});
    case IoStatus::failed: break;
  }
  return fail(peer_.error_of(result, "recv() failed"));
}

ClientExchange::HeadPoll ClientExchange::poll_head(Arena& arena, Method method) {
  for (int interim = 0; interim < interim_max;) {
    ParseResult parsed = peer_.unread().empty() ? ParseResult::need_more : parser_->parse(peer_.unread());
    if (parsed == ParseResult::failed) {
      error_detail_ = parser_->error().detail;
      return fail(Error{Fault::malformed, Side::upstream, 0, parser_->error().what});
    }
    if (parsed == ParseResult::no_header) {
      begin_headless_body(arena);
      return HeadPoll::done;
    }
    if (parsed == ParseResult::need_more) {
      HeadPoll more = read_more();
      if (more != HeadPoll::done) return more;
      continue;
    }
    // Views of the head are looked at until the log is written, when the connection may serve others or be gone.
    arena.make<SegmentRef>(peer_.segment());
    peer_.consume(parser_->consumed());
    if (is_interim(head_.status)) {
      ++interim;
      if (on_interim_) on_interim_(interim_whom_, head_);
      head_.headers.clear();
      head_.framing = Framing();
      parser_.emplace(head_);
      continue;
    }
    begin_body(arena, method);
    return HeadPoll::done;
  }
  return fail(Error{Fault::malformed, Side::upstream, 0, "upstream sent too many interim responses"});
}

void ClientExchange::begin_headless_body(Arena& arena) {
  headless_ = true;
  head_.headers.clear();
  head_.framing = Framing();
  head_.status = 200;
  head_.reason = {};
  body_ = arena.make<ReceivedBody>(peer_, Coding::until_close, no_length, rules_, nullptr);
}

// RFC 9112 section 6.3.
void ClientExchange::begin_body(Arena& arena, Method method) {
  Coding coding = Coding::until_close;
  if (method == Method::head || !has_body(head_.status)) coding = Coding::none;
  else if (head_.framing.chunked) coding = Coding::chunked;
  else if (head_.framing.content_length != no_length) coding = Coding::length;
  Trailers* trailers = coding == Coding::chunked ? arena.make<Trailers>(arena, 0u) : nullptr;
  body_ = arena.make<ReceivedBody>(peer_, coding, head_.framing.content_length, rules_, trailers);
}

}  // namespace fairlead::http::h1
