// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// proxy_protocol: `listen ... proxy_protocol`: a client's connection begins with a PROXY header (version 1 or 2), and what it says becomes
// $proxy_protocol_*. For all engines. Making the client's address of it is realip's.
#include <array>

#include "core/conf/module.h"
#include "core/conf/session.h"
#include "core/conf/session_vars.h"
#include "event/hooks.h"
#include "event/net/client.h"
#include "event/net/proxy_protocol.h"

namespace fairlead {
namespace {

// Of a listening address: its connections begin with a header.
struct ProxyProtocolOn {};

ConfResult<Unit> take_option(const event::ListenWord& given) {
  given.options.set(given.word, *given.line.arena().make<ProxyProtocolOn>());
  return Unit();
}

bool is_on(const ListenPoint& point) { return point.options.find<ProxyProtocolOn>() != nullptr; }

// The header's bytes are taken from the connection; what is behind them stays.
Task<bool> read_header(Client& client) {
  Connection& connection = *client.connection;
  uint64_t deadline_ms = connection.loop().deadline(client.point.greeting_timeout_ms);
  client.doing = "reading PROXY protocol";
  bool began = co_await await_first_byte(client);
  if (!began) co_return false;
  ProxyHeader& header = client.slots.use<ProxyHeader>();
  for (;;) {
    ProxyParsed parsed = parse_proxy_header(connection.unread(), header);
    if (parsed.state == ProxyParsed::State::done) {
      connection.consume(parsed.bytes);
      connection.release_if_empty();
      client.doing = {};
      co_return true;
    }
    if (parsed.state == ProxyParsed::State::malformed) {
      std::string_view shown = connection.unread();
      client.logger().error("broken header: \"{}\" ({})", shown.substr(0, shown.find_first_of("\r\n")), parsed.problem);
      co_return false;
    }
    if (!connection.watch().is_ready(Direction::read)) {
      WaitStatus status = co_await connection.readable(deadline_ms);
      if (status == WaitStatus::timeout) {
        client.logger().info("client timed out");
        co_return false;
      }
    }
    IoResult result = connection.fill(1024);
    if (result.status == IoStatus::end || result.status == IoStatus::failed) {
      if (!connection.unread().empty()) client.logger().info("client closed connection");
      co_return false;
    }
  }
}

const ProxyHeader* header_of(Session& session) {
  return session.connection_slots ? session.connection_slots->find<ProxyHeader>() : nullptr;
}

template <Addr ProxyHeader::*Which>
Value get_addr(Session& session, uintptr_t) {
  const ProxyHeader* header = header_of(session);
  if (!header || !(header->*Which).valid()) return Value::missing();
  char text[Addr::text_max];
  char* end = (header->*Which).write_host(text);
  return text_value(session, {text, static_cast<size_t>(end - text)});
}

template <Addr ProxyHeader::*Which>
Value get_port(Session& session, uintptr_t) {
  const ProxyHeader* header = header_of(session);
  if (!header || !(header->*Which).valid()) return Value::missing();
  uint16_t port = (header->*Which).port();
  return port ? number_value(session, port) : Value{};
}

// $proxy_protocol_tlv_NAME
Value get_tlv(Session& session, uintptr_t datum) {
  const ProxyHeader* header = header_of(session);
  if (!header) return Value::missing();
  std::string_view text = *reinterpret_cast<const std::string_view*>(datum);
  auto name = parse_proxy_tlv_name(text);
  if (!name) {
    session.logger.error("unknown PROXY protocol TLV \"{}\"", text);
    return Value::missing();
  }
  auto value = find_proxy_tlv(header->tlvs, *name);
  if (!value) return Value::missing();
  if (!name->is_ssl_verify) return Value{*value};
  uint32_t number = 0;
  for (char byte : *value) number = number << 8 | static_cast<uint8_t>(byte);
  return number_value(session, number);
}

constexpr VariableDef variables[] = {
    {"proxy_protocol_addr", get_addr<&ProxyHeader::source>},
    {"proxy_protocol_port", get_port<&ProxyHeader::source>},
    {"proxy_protocol_server_addr", get_addr<&ProxyHeader::destination>},
    {"proxy_protocol_server_port", get_port<&ProxyHeader::destination>},
    {"proxy_protocol_tlv_", get_tlv, variable_prefix},
};

constexpr std::array listen_options = {event::ListenOption{"proxy_protocol", &take_option}};
constexpr event::Hooks hooks = {.listen_options = listen_options, .connection = {.run = &read_header, .applies = &is_on}};

}  // namespace

extern constinit const Module proxy_protocol_module = {.name = "proxy_protocol", .variables = variables, .event = &hooks};

}  // namespace fairlead
