// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/events_conf.h"

#include <sys/resource.h>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/conf/error_log.h"
#include "core/conf/generation.h"
#include "core/conf/resolve_now.h"
#include "core/process/conf.h"
#include "event/loop/poller.h"

namespace fairlead {
namespace {

ConfResult<Unit> set_events(Line& line, EventsConf& own) {
  own.is_present = true;
  return line.read_block(*line.open_block(in_events));
}

// The values of the events block belong to the main part: there is one worker configuration.
EventsConf& of_main(Line& line) { return own_conf<EventsConf>(*line.block().enclosing(in_main)); }

ConfResult<Unit> set_worker_connections(Line& line, EventsConf&) {
  auto number = parse_decimal(line.word(1));
  if (!number || *number == 0) return format("invalid number \"{}\"", line.word(1));
  of_main(line).worker_connections = *number;
  return Unit();
}

ConfResult<Unit> set_multi_accept(Line& line, EventsConf&) { return ConfValue<bool>::parse(line, of_main(line).multi_accept); }

ConfResult<Unit> set_use(Line& line, EventsConf&) {
  std::string name(line.word(1));
  auto opened = open_poller(name.c_str());
  if (!opened) return format("invalid event type \"{}\"", name);
  of_main(line).use = line.word(1);
  return Unit();
}

ConfResult<Unit> set_debug_connection(Line& line, EventsConf&) {
#ifdef FAIRLEAD_DEBUG
  auto network = Cidr::parse(line.word(1));
  if (network) {
    if (network->low_bits_set()) line.warn(format("low address bits of {} are meaningless", line.word(1)));
    of_main(line).debug_connection.push_back(*network);
    return Unit();
  }
  auto addresses = resolve_now(line.word(1), 0);
  if (!addresses) return format("{} in debug_connection \"{}\"", addresses.error(), line.word(1));
  for (const Addr& addr : *addresses) of_main(line).debug_connection.push_back(*Cidr::parse(addr.host_text()));
  return Unit();
#else
  line.warn("\"debug_connection\" is ignored, you need to rebuild with --with-debug to enable it");
  return Unit();
#endif
}

ConfResult<Unit> check_flag(Line& line, EventsConf&) {
  bool ignored;
  return ConfValue<bool>::parse(line, ignored);
}
ConfResult<Unit> check_time(Line& line, EventsConf&) {
  Msec ignored;
  return ConfValue<Msec>::parse(line, ignored);
}

constexpr Directive events_rows[] = {
    custom<set_events, EventsConf>("events", in_main, words(0), "How a worker takes connections.").block(),
    custom<set_worker_connections, EventsConf>("worker_connections", in_events, words(1),
                                               "Most connections of a worker, upstream ones included. "
                                               "When few are left, idle clients end for others.")
        .takes("number").usual("512"),
    custom<set_multi_accept, EventsConf>("multi_accept", in_events, words(1), "Take all waiting connections at once.").takes("on | off")
        .usual("off"),
    custom<set_use, EventsConf>("use", in_events, words(1), "The kernel's event facility: epoll or kqueue.").takes("method"),
    custom<set_debug_connection, EventsConf>("debug_connection", in_events, words(1), "Log everything about connections of these clients.")
        .many()
        .takes("address | CIDR | unix:"),
    custom<check_flag, EventsConf>("accept_mutex", in_events, words(1), "Accepted; EPOLLEXCLUSIVE does what it was for.").takes("on | off"),
    custom<check_time, EventsConf>("accept_mutex_delay", in_events, words(1), "Accepted; EPOLLEXCLUSIVE does what it was for.")
        .takes("time"),
};

// As in nginx, where the limit for the workers is not given by worker_rlimit_nofile: the one of the master is theirs.
ConfResult<Unit> look_at_limit(Generation& generation) {
  uint64_t connections = conf<EventsConf>(generation.root()).worker_connections;
  auto given = conf<ProcessConf>(generation.root()).settings.open_files_max;
  rlimit ours;
  if (getrlimit(RLIMIT_NOFILE, &ours) < 0 || connections <= ours.rlim_cur || (given && connections <= *given)) return Unit();
  Logger(*conf<ErrorLogConf>(generation.root()).log)
      .warn("{} worker_connections exceed open file resource limit: {}", connections, given.value_or(ours.rlim_cur));
  return Unit();
}

}  // namespace

constinit const Module events_module = {
    .name = "events",
    .conf = conf_of<EventsConf>,
    .directives = events_rows,
    .ready = look_at_limit,
};

}  // namespace fairlead
