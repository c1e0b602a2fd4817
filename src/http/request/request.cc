// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/request.h"

#include "core/conf/generation.h"
#include "http/request/client_facts.h"

namespace fairlead::http {

Request::Request(Arena& own_arena, RequestHead& request_head, Exchange& client_exchange, const ClientFacts& client_facts)
    : Session(own_arena, client_facts.generation, client_facts.generation.variables(http_variable)),
      RequestParts(),
      head(request_head),
      exchange(client_exchange),
      facts(client_facts),
      worker_(client_facts.worker),
      loop_(client_exchange.connection().loop()),
      response(own_arena),
      method(request_head.method),
      method_text(request_head.method_text) {
  client_addr = &facts.peer;
  local_addr = &facts.local;
  connection_slots = &facts.slots;
  client_fd = client().watch().fd();
  started_ms = loop_.now_ms();
  connection_requests = facts.requests;
}

Request::~Request() = default;

Request& Request::origin() {
  Session* at = this;
  while (at->parent) at = at->parent;
  return static_cast<Request&>(*at);
}

std::string_view Request::host() const {
  if (!head.host.empty()) return head.host;
  return server ? server->name : std::string_view();
}

TryRecord& Request::add_try() {
  TryRecord* record = arena().make<TryRecord>();
  TryRecord** at = &tries;
  while (*at) at = &(*at)->next;
  *at = record;
  return *record;
}

TryRecord* Request::last_try() const {
  TryRecord* at = tries;
  while (at && at->next) at = at->next;
  return at;
}

void Request::enter(Location& place) {
  location = &place;
  block = place.block;
}

void Request::append(LogText& to) const {
  char text[Addr::text_max];
  if (!doing.empty()) to.append_format(" while {}", doing);
  to.append(", client: ");
  to.append({text, static_cast<size_t>(client_addr->write_host(text) - text)});
  if (server) to.append_format(", server: {}", server->name);
  if (!head.request_line.empty()) to.append_format(", request: \"{}\"", head.request_line);
  if (is_subrequest) to.append_format(", subrequest: \"{}\"", uri);
  if (const TryRecord* record = last_try()) {
    std::string_view separator = record->peer.starts_with("unix:") ? ":" : "";
    to.append_format(", upstream: \"{}{}{}{}\"", record->url_scheme, record->peer, separator, record->url_path);
  }
  if (const Headers::Field* host_field = head.headers.find(KnownHeader::host)) to.append_format(", host: \"{}\"", host_field->value);
  if (const Headers::Field* referer = head.headers.find(KnownHeader::referer)) to.append_format(", referrer: \"{}\"", referer->value);
}

ClientGone::ClientGone(Request& request) : Resumable(&ClientGone::on_turn), request_(request.origin()) {}

void ClientGone::on_turn(Resumable& self) {
  auto& waiter = static_cast<ClientGone&>(self);
  waiter.request_.loop().resume(waiter.frame_);
}

}  // namespace fairlead::http
