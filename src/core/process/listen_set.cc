// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/listen_set.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"

namespace fairlead {
namespace {

constexpr int bind_tries = 5;
constexpr int bind_pause_ms = 500;
constexpr int first_activated = 3;  // SD_LISTEN_FDS_START

bool at_place(const ListenSocket& socket, const ListenSpec& spec) {
  return socket.addr() == spec.addr && socket.is_stream() == spec.stream;
}

bool is_activated(const ListenSocket& socket) { return socket.origin() == ListenSocket::Origin::activated; }

void close_with_file(ListenSocket& socket, FilesGone gone, const Logger& log) {
  socket.close();
  if (gone == FilesGone::all || (gone == FilesGone::of_opened && socket.origin() == ListenSocket::Origin::opened)) socket.unlink_file(log);
}

// Whether `list` ("7;8;") has it.
bool lists(std::string_view list, uint64_t descriptor) { return format(";{}", list).find(format(";{};", descriptor)) != std::string::npos; }

}  // namespace

// ---- inherited

void InheritedSockets::add(int descriptor, ListenSocket::Origin origin, const Logger& log) {
  sockaddr_storage where;
  socklen_t size = sizeof(where);
  int type = 0;
  socklen_t type_size = sizeof(type);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&where), &size) < 0 ||
      getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &type_size) < 0) {
    log.crit(Errno{errno}, "getsockname() of the inherited socket #{} failed", descriptor);
    return;
  }
  Addr addr = Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&where), size);
  if (!addr.valid()) {
    log.crit("the inherited socket #{} has an unsupported protocol family", descriptor);
    return;
  }
  entries_.push_back({ListenSocket::adopt(descriptor, addr, origin, type == SOCK_STREAM)});
}

void InheritedSockets::add_list(std::string_view list, std::string_view activated, const Logger& log) {
  log.notice("using inherited sockets from \"{}\"", list);
  from_old_binary_ = true;
  while (!list.empty()) {
    size_t end = list.find_first_of(";:");
    if (end == std::string_view::npos) {
      log.emerg("invalid socket number \"{}\" in NGINX environment variable, ignoring", list);
      return;
    }
    auto number = parse_decimal(list.substr(0, end));
    if (!number || *number > INT32_MAX) {
      log.emerg("invalid socket number \"{}\" in NGINX environment variable, ignoring the rest of the variable", list);
      return;
    }
    auto origin = lists(activated, *number) ? ListenSocket::Origin::activated : ListenSocket::Origin::inherited;
    add(static_cast<int>(*number), origin, log);
    list.remove_prefix(end + 1);
  }
}

InheritedSockets InheritedSockets::from_environment(const Logger& log) {
  InheritedSockets found;
  const char* activated = getenv("FAIRLEAD_ACTIVATED");
  if (const char* list = getenv("NGINX")) found.add_list(list, activated ? activated : "", log);
  const char* pid = getenv("LISTEN_PID");
  const char* count = getenv("LISTEN_FDS");
  if (pid && count && parse_decimal(pid) == static_cast<uint64_t>(getpid())) {
    uint64_t sockets = std::min<uint64_t>(parse_decimal(count).value_or(0), 65536);
    for (uint64_t i = 0; i < sockets; ++i) found.add(first_activated + static_cast<int>(i), ListenSocket::Origin::activated, log);
  }
  for (const char* name : {"NGINX", "FAIRLEAD_ACTIVATED", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  return found;
}

std::shared_ptr<ListenSocket> InheritedSockets::take(const ListenSpec& spec) {
  for (Entry& entry : entries_) {
    if (entry.taken || entry.socket->is_stream() != spec.stream || !(entry.socket->addr() == spec.addr)) continue;
    entry.taken = true;
    return entry.socket;
  }
  return nullptr;
}

std::vector<std::shared_ptr<ListenSocket>> InheritedSockets::take_activated() {
  std::vector<std::shared_ptr<ListenSocket>> taken;
  for (Entry& entry : entries_) {
    if (!entry.taken && is_activated(*entry.socket)) taken.push_back(entry.socket);
    entry.taken = entry.taken || is_activated(*entry.socket);
  }
  return taken;
}

void InheritedSockets::close_unused() { entries_.clear(); }

// ---- opening

ListenSet::~ListenSet() {
  if (committed_) return;
  for (auto& socket : opened_) socket->unlink_file(Logger());
}

size_t ListenSet::add(ListenSpec spec) {
  FL_ASSERT(!find(spec));
  listeners_.push_back({std::move(spec), {}});
  return listeners_.size() - 1;
}

const ListenSet::Listener* ListenSet::find(const ListenSpec& spec) const {
  for (const Listener& listener : listeners_) {
    if (listener.spec.same_place(spec)) return &listener;
  }
  return nullptr;
}

bool ListenSet::uses(const ListenSocket* socket) const {
  for (const Listener& listener : listeners_) {
    for (auto& own : listener.sockets) {
      if (own.get() == socket) return true;
    }
  }
  return false;
}

// What a socket has from its bind() on.
static void warn_of_fixed(const ListenSet::Listener& listener, const ListenSpec* before, const Logger& log) {
  const ListenSpec& spec = listener.spec;
  if (before && before->multipath != spec.multipath)
    log.warn("whether {} is multipath cannot change while it is listened to, ignored", spec.addr.text());
  if (spec.addr.family() == Addr::Family::inet6 && !listener.sockets.empty() && listener.sockets[0]->is_ipv6_only() != spec.ipv6_only)
    log.warn("whether {} is for IPv6 only cannot change while it is listened to, ignored", spec.addr.text());
}

// Fills the slots from the front with what is already bound there.
void ListenSet::adopt(Listener& listener, const ListenPlan& plan, const Logger& log) {
  size_t wanted = listener.spec.reuseport ? plan.workers : 1;
  const Listener* before = plan.previous ? plan.previous->find(listener.spec) : nullptr;
  for (size_t i = 0; before && i < before->sockets.size() && listener.sockets.size() < wanted; ++i) {
    if (before->sockets[i]->descriptor() >= 0) listener.sockets.push_back(before->sockets[i]);
  }
  // Then those that an earlier configuration had more of: they are the next of the kernel's group, so that its order stays ours.
  for (auto& socket : plan.previous ? std::span(plan.previous->retired_) : std::span<std::shared_ptr<ListenSocket>>()) {
    if (listener.sockets.size() < wanted && at_place(*socket, listener.spec)) listener.sockets.push_back(socket);
  }
  while (plan.inherited && listener.sockets.size() < wanted) {
    auto socket = plan.inherited->take(listener.spec);
    if (!socket) break;
    listener.sockets.push_back(std::move(socket));
  }
  while (auto surplus = plan.inherited ? plan.inherited->take(listener.spec) : nullptr) retired_.push_back(std::move(surplus));
  warn_of_fixed(listener, before ? &before->spec : nullptr, log);
  if (!listener.spec.reuseport) return;
  for (auto& socket : listener.sockets) socket->allow_reuseport(log);
}

ConfResult<> ListenSet::open_once(const ListenPlan& plan, const Logger& log, bool& in_use) {
  in_use = false;
  for (Listener& listener : listeners_) {
    if (listener.sockets.empty()) adopt(listener, plan, log);
    size_t wanted = listener.spec.reuseport ? plan.workers : 1;
    while (listener.sockets.size() < wanted) {
      if (plan.previous) plan.previous->keep_arrivals(listener.spec, wanted);  // a datagram socket is of the kernel's group once bound
      auto socket = ListenSocket::open(listener.spec, log);
      if (socket) {
        opened_.push_back(*socket);
        listener.sockets.push_back(std::move(*socket));
        continue;
      }
      bool busy = socket.error().sys == EADDRINUSE;
      if (busy && plan.mode == ListenPlan::Mode::test) break;
      if (!busy || plan.mode == ListenPlan::Mode::reload) return std::move(socket.error().text);
      log.emerg("{}", socket.error().text);
      in_use = true;
      break;
    }
  }
  return Unit();
}

// Only when all are bound: a socket that listens cannot be undone unseen by clients.
ConfResult<> ListenSet::start_listening(const ListenPlan& plan, const Logger& log) {
  if (plan.mode == ListenPlan::Mode::test) return Unit();
  for (Listener& listener : listeners_) {
    for (auto& socket : listener.sockets) {
      if (auto set = socket->capture(listener.spec); !set) return std::move(set.error().text);
      socket->configure(listener.spec, log);
      FL_TRY(socket->listen(listener.spec));
      // What was opened without reuseport is in a group only now, if another one joined it.
      if (plan.previous) plan.previous->keep_arrivals(listener.spec, listener.sockets.size());
    }
  }
  return Unit();
}

ConfResult<> ListenSet::open(const ListenPlan& plan, const Logger& log) {
  FL_ASSERT(plan.workers > 0);
  for (int tries = 0; tries < bind_tries; ++tries) {
    bool in_use = false;
    FL_TRY(open_once(plan, log, in_use));
    if (!in_use) {
      if (plan.previous) retire_surplus(*plan.previous);
      for (auto& socket : plan.inherited ? plan.inherited->take_activated() : decltype(retired_)()) retired_.push_back(std::move(socket));
      return start_listening(plan, log);
    }
    log.notice("try again to bind() after {}ms", bind_pause_ms);
    poll(nullptr, 0, bind_pause_ms);
  }
  return std::string("still could not bind()");
}

// ---- from one configuration to the next

void ListenSet::commit(ListenSet* previous, FilesGone gone, const Logger& log) {
  committed_ = true;
  opened_.clear();
  if (previous) previous->close_unshared(*this, gone, log);
  for (Listener& listener : listeners_) {
    const Listener* old = previous ? previous->find(listener.spec) : nullptr;
    if (old) listener.steered = old->steered;
    if (must_steer(listener)) steer(listener, log);
  }
}

bool ListenSet::has_retired(const Listener& listener) const {
  return std::any_of(retired_.begin(), retired_.end(), [&](auto& socket) { return at_place(*socket, listener.spec); });
}

// Unless the kernel gives what arrives to the sockets in use and no others already.
bool ListenSet::must_steer(const Listener& listener) const {
  size_t live = listener.sockets.size();
  if (listener.steered != 0) return listener.steered != live;
  bool may_have_program = live > 1 && listener.sockets[0]->origin() != ListenSocket::Origin::opened;
  return may_have_program || has_retired(listener);
}

void ListenSet::steer_again(const Logger& log) {
  for (Listener& listener : listeners_) {
    if (listener.sockets.size() > 1 || has_retired(listener)) steer(listener, log);
  }
}

// What this set has no slot for, now or since an earlier set, while its address is listened to: closing it would renumber the kernel's
// group. And what is the service manager's: it listens on whether we do or not, so that no other socket could be bound there.
void ListenSet::retire_surplus(const ListenSet& previous) {
  auto retire = [&](const std::shared_ptr<ListenSocket>& socket) {
    auto same_place = [&](const Listener& listener) { return at_place(*socket, listener.spec); };
    bool is_kept = is_activated(*socket) || std::any_of(listeners_.begin(), listeners_.end(), same_place);
    if (is_kept && socket->descriptor() >= 0 && !uses(socket.get())) retired_.push_back(socket);
  };
  for (const Listener& listener : previous.listeners_) std::for_each(listener.sockets.begin(), listener.sockets.end(), retire);
  std::for_each(previous.retired_.begin(), previous.retired_.end(), retire);
}

void ListenSet::close_unshared(const ListenSet& other, FilesGone gone, const Logger& log) {
  auto is_retired = [&](auto& socket) { return std::find(other.retired_.begin(), other.retired_.end(), socket) != other.retired_.end(); };
  auto close_unless_shared = [&](auto& socket) {
    if (other.uses(socket.get()) || is_retired(socket) || socket->descriptor() < 0) return;
    close_with_file(*socket, gone, log);
  };
  for (Listener& listener : listeners_) {
    std::for_each(listener.sockets.begin(), listener.sockets.end(), close_unless_shared);
    std::erase_if(listener.sockets, [&](auto& socket) { return !other.uses(socket.get()); });
  }
  for (auto& socket : retired_) {
    if (!other.uses(socket.get()) && !is_retired(socket)) socket->close();
  }
  retired_.clear();
  opened_.clear();
}

// Slots are opened in order, so that the live sockets are the first of the kernel's group. It keeps the program: more slots need a new one.
void ListenSet::steer(Listener& listener, const Logger& log) {
  unsigned live = static_cast<unsigned>(listener.sockets.size());
  if (steer_reuseport_group(*listener.sockets[0], listener.spec, live)) {
    listener.steered = live;
    return;
  }
  log.warn(Errno{errno}, "connections to {} cannot be steered to the {} sockets in use", listener.spec.addr.text(), live);
}

// Without a word if it cannot: then the new sockets get their part at once, as in nginx.
void ListenSet::keep_arrivals(const ListenSpec& spec, size_t slots) {
  for (Listener& listener : listeners_) {
    unsigned live = static_cast<unsigned>(listener.sockets.size());
    if (!listener.spec.same_place(spec) || live >= slots || listener.steered == live) continue;
    if (steer_reuseport_group(*listener.sockets[0], listener.spec, live)) listener.steered = live;
  }
}

void ListenSet::keep_slot(unsigned slot) {
  for (Listener& listener : listeners_) {
    if (!listener.spec.reuseport) continue;
    for (size_t i = 0; i < listener.sockets.size(); ++i) {
      if (i != slot) listener.sockets[i]->close();
    }
  }
  if (slot != 0) retired_.clear();
}

void ListenSet::close_all(FilesGone gone, const Logger& log) {
  for (Listener& listener : listeners_) {
    for (auto& socket : listener.sockets) {
      if (socket->descriptor() >= 0) close_with_file(*socket, gone, log);
    }
  }
  retired_.clear();
}

std::string ListenSet::descriptor_list() const {
  std::string list;
  for (const Listener& listener : listeners_) {
    for (auto& socket : listener.sockets) list += format("{};", socket->descriptor());
  }
  for (auto& socket : retired_) list += format("{};", socket->descriptor());
  return list;
}

std::string ListenSet::activated_list() const {
  std::string list;
  for (const Listener& listener : listeners_) {
    for (auto& socket : listener.sockets)
      if (is_activated(*socket)) list += format("{};", socket->descriptor());
  }
  for (auto& socket : retired_)
    if (is_activated(*socket)) list += format("{};", socket->descriptor());
  return list;
}

void ListenSet::keep_over_exec() const {
  for (const Listener& listener : listeners_) {
    for (auto& socket : listener.sockets) fcntl(socket->descriptor(), F_SETFD, 0);
  }
  for (auto& socket : retired_) fcntl(socket->descriptor(), F_SETFD, 0);
}

}  // namespace fairlead
