// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Resolver: names to addresses, one for each `resolver` line and one for the system's own configuration. Caches what it learned, asks once
// for all who want the same name. How a question travels is channel.h, how answers come together query.h. Owned by the worker and opened
// after the fork; tasks that still wait when it goes get Fault::canceled.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/addr.h"
#include "core/base/error.h"
#include "core/base/list.h"
#include "event/dns/channel.h"
#include "event/dns/query.h"
#include "event/loop/loop.h"
#include "event/loop/task.h"

namespace fairlead {

struct ResolverOptions {
  std::vector<Addr> servers;  // IP addresses with ports; none: resolv.conf, hosts file and search domains
  DnsFamilies families;       // `ipv4=off`, `ipv6=off`; not both off
  std::optional<uint32_t> valid_s;  // `valid=`: in place of every TTL, zero included
  uint32_t try_timeout_ms = 2000;   // then the next server; after the last one all over again, while somebody waits
  uint32_t renew_after_ms = 10'000;  // when a family that failed is asked for again; what the other one has is given out meanwhile
  size_t names_max = 4096;          // in the cache; the one unused for longest goes
  size_t records_max = 262'144;     // likewise, of all names together: one alone may bring 64 KiB of them
  size_t waiting_max = 8192;        // lookups that wait
};

// The targets of a service, for whom addresses have to be asked.
struct DnsServices {
  std::vector<DnsService> services;  // never empty; in the order of the reply
  uint64_t expires_ms = 0;
};

struct DnsAnswer {
  std::vector<Addr> addresses;  // port 0; never empty; each answer begins with another one, in turns
  uint64_t expires_ms = 0;      // Loop::now_ms; a TTL of zero: now; a family failed: when more may be known
  DnsFamilies failed = {false, false};  // may have addresses, too: their question failed
};

class Resolver final : private DnsQuery::Owner {
 public:
  static Result<std::unique_ptr<Resolver>> open(Loop& loop, ResolverOptions options);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // What is known without waiting: an address as the name, or a name in the cache. Names in any case, a last dot is dropped.
  std::optional<DnsAnswer> cached(std::string_view name, DnsFamilies wanted = {});

  // The addresses of `name` in the families that are wanted and not off. `deadline_ms`: absolute, 0 for none. Errors, side upstream:
  // unavailable (no such name, or the servers said no), timeout; exhausted, canceled. resolve_error_text() makes the log line of them.
  // Destroying the task leaves the question to the others who wait, and to the cache.
  Task<Result<DnsAnswer>> resolve(std::string name, DnsFamilies wanted, uint64_t deadline_ms);

  // The SRV records of `name`, with the same errors. Asked for as the name stands there, without search domains.
  Task<Result<DnsServices>> resolve_service(std::string name, uint64_t deadline_ms);

  size_t waiting() const { return waiting_; }
  size_t cached_names() const { return cache_.size(); }
  // Questions in flight, for the tests and the metrics.
  size_t in_flight() const { return in_flight_.size(); }

 private:
  struct Entry : Link {
    std::string key;
    std::shared_ptr<DnsRecord> record;
    size_t size() const { return record->addresses.size() + record->services.size(); }
  };
  struct KeyHash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
  };
  class Waiting;

  Resolver(Loop& loop, ResolverOptions options) : loop_(loop), options_(std::move(options)) {}
  DnsServers& servers() override { return *servers_; }
  uint64_t expiry_ms(uint32_t ttl_s) const override;
  void finished(DnsQuery& query) override;

  DnsFamilies allowed(DnsFamilies wanted) const;
  // What is known, now or when the question was answered.
  Task<Result<std::shared_ptr<DnsRecord>>> find(std::string key, DnsFamilies families, uint64_t deadline_ms);
  std::shared_ptr<DnsRecord> find_cached(std::string_view key);
  DnsQuery::Ref join(std::string key, DnsFamilies families);
  // Asks for the families that failed; nobody waits for them.
  void renew(std::string_view key, std::shared_ptr<const DnsRecord> known);
  DnsQuery::Ref make_query(std::string in_flight_key, DnsQuery::Question question);
  void remember(const std::string& key, std::shared_ptr<DnsRecord> record);
  void forget(std::string_view key);

  Loop& loop_;
  ResolverOptions options_;
  std::unique_ptr<DnsServers> servers_;
  std::unordered_map<std::string, std::unique_ptr<Entry>, KeyHash, std::equal_to<>> cache_;
  List<Entry> by_use_;  // the one used last at the end
  size_t cached_records_ = 0;
  std::unordered_map<std::string, DnsQuery::Ref> in_flight_;  // by in_flight_key()
  List<DnsQuery> queries_;  // all that live, finished ones included
  size_t waiting_ = 0;
};

// "NAME could not be resolved (3: Host not found)".
std::string resolve_error_text(std::string_view name, const Error& error);

}  // namespace fairlead
