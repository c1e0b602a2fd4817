// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// original_dst: `listen ... original_dst` takes connections that the kernel sent here instead of to where they were bound (a sidecar's
// transparent capture), and says where that was. For all engines.
#include <array>

#include "core/conf/module.h"
#include "core/conf/session.h"
#include "core/conf/session_vars.h"
#include "event/hooks.h"
#include "event/net/client.h"
#include "event/net/original_dst.h"
#include "event/net/socket.h"

namespace fairlead {
namespace {

enum class Capture : uint8_t { redirect, tproxy };

ConfResult<Unit> take_redirect(const event::ListenWord& given) {
  given.options.set(given.word, *given.line.arena().make<Capture>(Capture::redirect));
  return Unit();
}

// With a value: how the connections come. TPROXY keeps their destination; the socket must be allowed to have foreign addresses.
ConfResult<Unit> take_kind(const event::ListenWord& given) {
  if (given.value == "redirect") return take_redirect(given);
  if (given.value != "tproxy") return std::string("invalid \"original_dst\" value: redirect or tproxy is expected");
  given.spec.transparent = true;
  given.options.set(given.word, *given.line.arena().make<Capture>(Capture::tproxy));
  return Unit();
}

bool is_capturing(const ListenPoint& point) { return point.options.find<Capture>() != nullptr; }

// Nothing here waits; that of a hook may.
Task<bool> find_destination(Client& client) {
  OriginalDestination& found = client.slots.use<OriginalDestination>();
  int fd = client.connection->watch().fd();
  Addr reached = local_address(fd);
  Capture kind = *client.point.options.find<Capture>();
  std::optional<Addr> replaced;
  if (kind == Capture::redirect) replaced = redirected_from(fd);
  found.addr = replaced ? replaced->unmapped() : reached.unmapped();
  const Addr& bound = client.point.addr;
  found.is_own = is_own_listener(found.addr, bound, kind == Capture::redirect ? reached : Addr());
  // Other hosts may serve on the listener's port number, too.
  if (kind == Capture::tproxy && bound.is_wildcard() && found.addr.port() == bound.port()) found.is_own |= is_host_address(found.addr);
  co_return true;
}

const Addr* destination_of(Session& session) {
  const OriginalDestination* found = session.connection_slots ? session.connection_slots->find<OriginalDestination>() : nullptr;
  return found && found->addr.is_ip() ? &found->addr : nullptr;
}

Value get_destination(Session& session, uintptr_t) {
  const Addr* addr = destination_of(session);
  if (!addr) return Value::missing();
  char text[Addr::text_max];
  return text_value(session, {text, static_cast<size_t>(addr->write(text) - text)});
}

Value get_host(Session& session, uintptr_t) {
  const Addr* addr = destination_of(session);
  if (!addr) return Value::missing();
  char text[Addr::text_max];
  return text_value(session, {text, static_cast<size_t>(addr->write_host(text) - text)});
}

Value get_port(Session& session, uintptr_t) {
  const Addr* addr = destination_of(session);
  return addr ? number_value(session, addr->port()) : Value::missing();
}

constexpr VariableDef variables[] = {
    {"original_dst", get_destination, variable_changeable},
    {"original_dst_addr", get_host, variable_changeable},
    {"original_dst_port", get_port, variable_changeable},
};

constexpr std::array listen_options = {event::ListenOption{"original_dst", &take_redirect},
                                       event::ListenOption{"original_dst=", &take_kind}};
constexpr event::Hooks hooks = {.listen_options = listen_options, .connection = {.run = &find_destination, .applies = &is_capturing}};

}  // namespace

extern constinit const Module original_dst_module = {.name = "original_dst", .variables = variables, .event = &hooks};

}  // namespace fairlead
