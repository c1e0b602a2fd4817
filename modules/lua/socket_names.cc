// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/socket_names.h"

#include <cstring>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "event/dns/resolver_conf.h"
#include "event/worker.h"

namespace fairlead::lua {

std::string system_text(int error_number) {
  std::string text = std::strerror(error_number);
  lower_into(text.data(), text);
  return text;
}

// An address that needs no asking. False: it is a name.
static bool read_literal(const SocketName& name, Addr& address) {
  std::string_view host = name.host;
  if (host.starts_with("unix:")) {
    address = Addr::local(host.substr(5, Addr::path_max));
    return true;
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  auto literal = Addr::parse_ip(host);
  if (!literal) return false;
  address = *literal;
  address.set_port(name.port);
  return true;
}

Task<std::string> find_address(Worker& worker, const Block& place, SocketName name, Addr& address) {
  if (name.host.starts_with("unix:") && name.host.size() - 5 > Addr::path_max) co_return "path too long";
  if (read_literal(name, address)) co_return std::string();
  const ResolverConf& names = conf<ResolverConf>(place);
  Resolver* resolver = names.off ? nullptr : worker.state<Resolvers>().of(names);
  if (!resolver) co_return format("no resolver defined to resolve \"{}\"", name.host);
  uint64_t deadline = worker.loop().deadline(names.timeout);
  if (name.deadline_ms && (deadline == 0 || name.deadline_ms < deadline)) deadline = name.deadline_ms;
  DnsFamilies families;
  auto answer = co_await resolver->resolve(name.host, families, deadline);
  if (!answer) co_return resolve_error_text(name.host, answer.error());
  address = answer->addresses.front();
  address.set_port(name.port);
  co_return std::string();
}

}  // namespace fairlead::lua
