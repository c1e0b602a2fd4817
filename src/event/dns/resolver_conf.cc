// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/dns/resolver_conf.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/resolve_now.h"

namespace fairlead {
namespace {

ConfResult<Unit> add_server(Line& line, size_t index, ResolverOptions& options) {
  auto parsed = parse_addr(line.word(index), 53, AddrUse::connect);
  if (!parsed) return format("{} in resolver \"{}\"", parsed.error(), line.word(index));
  if (!parsed->is_name()) {
    options.servers.push_back(parsed->addr);
    return Unit();
  }
  auto addresses = resolve_now(parsed->host, parsed->port);
  if (!addresses) return format("{} in resolver \"{}\"", addresses.error(), line.word(index));
  for (Addr& addr : *addresses) options.servers.push_back(std::move(addr));
  return Unit();
}

ConfResult<Unit> set_resolver(Line& line, ResolverConf& own) {
  if (line.word_count() == 1 && line.word(1) == "off") {
    own.off = true;
    return Unit();
  }
  ResolverOptions* options = line.arena().make<ResolverOptions>();
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    if (word.starts_with("valid=")) {
      auto ms = parse_time_ms(word.substr(6), TimeGrain::seconds);
      if (!ms) return format("invalid parameter: {}", word);
      options->valid_s = static_cast<uint32_t>(std::min<uint64_t>(*ms / 1000, UINT32_MAX));  // 136 years: for ever
    } else if (word == "ipv4=on" || word == "ipv4=off") {
      options->families.ipv4 = word == "ipv4=on";
    } else if (word == "ipv6=on" || word == "ipv6=off") {
      options->families.ipv6 = word == "ipv6=on";
    } else if (word.starts_with("ipv4=") || word.starts_with("ipv6=")) {
      return format("invalid parameter: {}", word);
    } else {
      FL_TRY(add_server(line, i, *options));
    }
  }
  if (!options->families.ipv4 && !options->families.ipv6) return std::string("\"ipv4\" and \"ipv6\" cannot both be \"off\"");
  if (options->servers.empty()) return std::string("no name servers defined");
  own.options = options;
  own.off = false;
  return Unit();
}

constexpr uint32_t resolver_blocks = in_http_any | in_stream_any | in_upstream_any;

constexpr Directive resolver_rows[] = {
    custom<set_resolver, ResolverConf, &ResolverConf::options, &ResolverConf::off>("resolver", resolver_blocks, words_from(1),
                                                                                   "Name servers for names that are resolved at run time.")
        .takes("address ... [valid=time] [ipv4=on|off] [ipv6=on|off] | off"),
    slot<ResolverConf, &ResolverConf::timeout>("resolver_timeout", resolver_blocks, "Time to resolve a name."),
};

}  // namespace

constinit const Module resolver_module = {
    .name = "resolver",
    .conf = conf_of<ResolverConf>,
    .directives = resolver_rows,
};

Resolver* Resolvers::of(const ResolverConf& conf) {
  for (auto& [options, resolver] : all_)
    if (options == conf.options) return resolver.get();
  auto opened = Resolver::open(worker_.loop(), conf.options ? *conf.options : ResolverOptions{});
  if (!opened) {
    Logger().error(Errno{opened.error().sys}, "{}", opened.error().what);
    return nullptr;
  }
  all_.emplace_back(conf.options, std::move(*opened));
  return all_.back().second.get();
}

}  // namespace fairlead
