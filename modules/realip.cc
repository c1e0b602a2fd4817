// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// realip: takes the client's address from what a trusted proxy in front says: a header field, or the PROXY header. For the rest of the
// session it is the client's address, in variables, access rules, logs and balancing; $realip_remote_addr keeps the connection's own.
#include <array>
#include <vector>

#include "core/base/format.h"
#include "core/base/forwarded.h"
#include "core/base/text.h"
#include "core/conf/module.h"
#include "core/conf/resolve_now.h"
#include "core/conf/session_vars.h"
#include "core/conf/value.h"
#include "event/net/proxy_protocol.h"
#include "http/hooks.h"
#include "http/request/client_facts.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

enum class Source : uint8_t { field, x_forwarded_for, proxy_protocol };

struct RealipConf {
  std::vector<Cidr> trusted;
  Source source = Source::field;
  std::string_view field = "X-Real-IP";
  bool recursive = false;
};

ConfResult<Unit> add_trusted(Line& line, RealipConf& own) {
  std::string_view text = line.word(1);
  if (auto network = Cidr::parse(text)) {
    if (network->low_bits_set()) line.warn(format("low address bits of {} are meaningless", text));
    own.trusted.push_back(*network);
    return Unit();
  }
  if (text.find('/') != std::string_view::npos) return format("host not found in set_real_ip_from \"{}\"", text);
  auto addresses = resolve_now(text, 0);
  if (!addresses) return format("{} in set_real_ip_from \"{}\"", addresses.error(), text);
  for (const Addr& address : *addresses) own.trusted.push_back(*Cidr::parse(address.host_text()));
  return Unit();
}

ConfResult<Unit> set_source(Line& line, RealipConf& own) {
  std::string_view word = line.word(1);
  own.field = word;
  if (equal_nocase(word, "X-Forwarded-For")) own.source = Source::x_forwarded_for;
  else if (word == "proxy_protocol") own.source = Source::proxy_protocol;
  else own.source = Source::field;
  return Unit();
}

void replace(http::Request& request, const Addr& addr) {
  if (addr != *request.client_addr) request.client_addr = request.arena().make<Addr>(addr);
}

bool is_trusted(const Session& session, const RealipConf& own) {
  for (const Cidr& network : own.trusted)
    if (network.contains(*session.client_addr)) return true;
  return false;
}

void take_from_proxy_header(http::Request& request, const RealipConf& own) {
  const ProxyHeader* header = request.connection_slots ? request.connection_slots->find<ProxyHeader>() : nullptr;
  if (header && header->source.valid() && is_trusted(request, own)) replace(request, header->source);
}

void take_from_fields(http::Request& request, const RealipConf& own) {
  const http::Headers& headers = request.head.headers;
  std::string_view list;
  if (own.source == Source::x_forwarded_for) {
    list = headers.joined(http::KnownHeader::x_forwarded_for);
  } else if (const http::Headers::Field* field = headers.find(own.field)) {
    list = field->value;
  }
  if (!list.empty()) replace(request, forwarded_addr(*request.client_addr, list, own.trusted, own.recursive));
}

// At first by what the server says, later by what the location says; once a request. A subrequest has the address its request got.
http::Verdict check_request(http::Request& request) {
  if (*request.client_addr != request.facts.peer) return http::Verdict::next();
  const RealipConf& own = conf<RealipConf>(request);
  if (own.source == Source::proxy_protocol) take_from_proxy_header(request, own);
  else take_from_fields(request, own);
  return http::Verdict::next();
}

const Addr& original_of(Session& session) { return http::as_request(session).facts.peer; }

Value get_original_addr(Session& session, uintptr_t) {
  char text[Addr::text_max];
  return text_value(session, {text, static_cast<size_t>(original_of(session).write_host(text) - text)});
}

Value get_original_port(Session& session, uintptr_t) {
  uint16_t port = original_of(session).port();
  return port ? number_value(session, port) : Value{};
}

constexpr std::array rows = {
    custom<add_trusted, RealipConf, &RealipConf::trusted>(
        "set_real_ip_from", in_http_any, words(1), "A proxy, or a network of them, that is believed when it names the client's address.")
        .many()
        .takes("address | network | unix: | name"),
    custom<set_source, RealipConf, &RealipConf::source, &RealipConf::field>("real_ip_header", in_http_any, words(1),
                                                                            "Where a trusted proxy names the client's address.")
        .takes("field | X-Real-IP | X-Forwarded-For | proxy_protocol").usual("X-Real-IP"),
    slot<RealipConf, &RealipConf::recursive>("real_ip_recursive", in_http_any,
                                             "Look on in a list of addresses as long as they are trusted themselves."),
};

constexpr VariableDef variables[] = {
    {"realip_remote_addr", get_original_addr, variable_volatile, http_variable},
    {"realip_remote_port", get_original_port, variable_volatile, http_variable},
};

bool has_trusted(const Block& block) { return !conf<RealipConf>(block).trusted.empty(); }

constexpr std::array phases = {
    http::PhaseEntry{.phase = http::Phase::post_read, .check = &check_request, .applies = &has_trusted},
    http::PhaseEntry{.phase = http::Phase::preaccess, .check = &check_request, .applies = &has_trusted},
};
constexpr http::Hooks http_hooks = {.phases = phases, .filters = {}, .forward = {}};

}  // namespace

extern constinit const Module realip_module = {
    .name = "realip", .conf = conf_of<RealipConf>, .directives = rows, .variables = variables, .http = &http_hooks};

}  // namespace fairlead
