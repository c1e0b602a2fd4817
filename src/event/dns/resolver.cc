// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/dns/resolver.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"

namespace fairlead {

namespace {

// RFC 8767 section 4: a week is the most that makes sense.
constexpr uint32_t ttl_max_s = 7 * 24 * 3600;
constexpr size_t name_bytes_max = 253;

bool is_askable(std::string_view name) {
  auto is_odd = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f' || c == '\\'; };
  return !name.empty() && name.size() <= name_bytes_max && std::none_of(name.begin(), name.end(), is_odd);
}

// One character for the families, then the name in lower case.
std::string make_key(std::string_view name, DnsFamilies families) {
  std::string key(1 + name.size(), static_cast<char>('0' + (families.ipv4 ? 1 : 0) + (families.ipv6 ? 2 : 0)));
  lower_into(key.data() + 1, name);
  return key;
}

// Of SRV records.
constexpr char service_mark = 's';
std::string make_service_key(std::string_view name) {
  std::string key(1 + name.size(), service_mark);
  lower_into(key.data() + 1, name);
  return key;
}

// Of those that complete what is known. Who waits for the whole answer does not join them: what is known may end before they do.
constexpr char renewal_mark = 'r';
std::string in_flight_key(const DnsQuery::Question& question) {
  return question.known ? renewal_mark + question.key : question.key;
}

std::string_view without_last_dot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

DnsAnswer answer_of(DnsRecord& record) {
  DnsAnswer answer;
  answer.expires_ms = std::min(record.expires_ms, record.renew_ms);
  answer.failed = record.failed;
  answer.addresses = record.addresses;
  auto first = static_cast<ptrdiff_t>(record.turns++ % record.addresses.size());
  std::rotate(answer.addresses.begin(), answer.addresses.begin() + first, answer.addresses.end());
  return answer;
}

}  // namespace

std::string resolve_error_text(std::string_view name, const Error& error) {
  return format("{} could not be resolved ({}: {})", name, error.sys, error.what);
}

// One who waits: counted with the query, and with the resolver as long as there is one.
class Resolver::Waiting {
 public:
  Waiting(Resolver& resolver, DnsQuery::Ref query) : resolver_(resolver), query_(std::move(query)) {
    ++resolver_.waiting_;
    query_->enter();
  }
  ~Waiting() {
    query_->leave();
    if (query_->has_owner()) --resolver_.waiting_;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  DnsQuery& query() const { return *query_.operator->(); }

 private:
  Resolver& resolver_;
  DnsQuery::Ref query_;
};

Result<std::unique_ptr<Resolver>> Resolver::open(Loop& loop, ResolverOptions options) {
  FL_ASSERT(options.families.ipv4 || options.families.ipv6);
  std::unique_ptr<Resolver> made(new Resolver(loop, std::move(options)));
  auto servers = DnsServers::open(loop, made->options_.servers, static_cast<int>(made->options_.try_timeout_ms));
  if (!servers) return servers.error();
  made->servers_ = std::move(*servers);
  return made;
}

Resolver::~Resolver() {
  while (DnsQuery* query = queries_.pop_front()) query->orphan();
  servers_.reset();
}

DnsFamilies Resolver::allowed(DnsFamilies wanted) const {
  return {wanted.ipv4 && options_.families.ipv4, wanted.ipv6 && options_.families.ipv6};
}

std::shared_ptr<DnsRecord> Resolver::find_cached(std::string_view key) {
  auto at = cache_.find(key);
  if (at == cache_.end()) return nullptr;
  Entry& entry = *at->second;
  if (entry.record->expires_ms <= loop_.now_ms()) {
    forget(key);
    return nullptr;
  }
  static_cast<Link&>(entry).unlink();
  by_use_.push_back(entry);
  std::shared_ptr<DnsRecord> known = entry.record;
  if (known->renew_ms <= loop_.now_ms()) renew(key, known);  // which may replace the entry
  return known;
}

std::optional<DnsAnswer> Resolver::cached(std::string_view name, DnsFamilies wanted) {
  if (auto ip = Addr::parse_ip(name)) return DnsAnswer{{*ip}, UINT64_MAX};
  std::shared_ptr<DnsRecord> known = find_cached(make_key(without_last_dot(name), allowed(wanted)));
  if (!known) return std::nullopt;
  return answer_of(*known);
}

Task<Result<std::shared_ptr<DnsRecord>>> Resolver::find(std::string key, DnsFamilies families, uint64_t deadline_ms) {
  if (auto known = find_cached(key)) co_return std::move(known);
  if (!is_askable(std::string_view(key).substr(1))) co_return dns_error(ARES_EBADNAME);
  if (waiting_ >= options_.waiting_max) co_return Error{Fault::exhausted, Side::local, 2, "too many lookups are waiting"};
  Waiting waiting(*this, join(std::move(key), families));
  DnsQuery& query = waiting.query();
  query.start();
  // From here on the resolver may be gone: only the query is looked at.
  WaitStatus status = co_await query.done().wait(deadline_ms);
  if (status != WaitStatus::timeout) co_return query.result();
  auto by_now = query.result_by_now();
  if (!by_now) co_return dns_error(ARES_ETIMEOUT);
  co_return by_now;
}

Task<Result<DnsAnswer>> Resolver::resolve(std::string name, DnsFamilies wanted, uint64_t deadline_ms) {
  std::optional<DnsAnswer> known = cached(name, wanted);
  if (known) co_return std::move(*known);
  DnsFamilies families = allowed(wanted);
  if (!families.ipv4 && !families.ipv6) co_return dns_error(ARES_EBADNAME);
  std::string key = make_key(without_last_dot(name), families);
  auto found = co_await find(std::move(key), families, deadline_ms);
  if (!found) co_return found.error();
  co_return answer_of(**found);
}

Task<Result<DnsServices>> Resolver::resolve_service(std::string name, uint64_t deadline_ms) {
  std::string key = make_service_key(without_last_dot(name));
  const DnsFamilies none{false, false};
  auto found = co_await find(std::move(key), none, deadline_ms);
  if (!found) co_return found.error();
  co_return DnsServices{(*found)->services, (*found)->expires_ms};
}

DnsQuery::Ref Resolver::join(std::string key, DnsFamilies families) {
  if (auto at = in_flight_.find(key); at != in_flight_.end()) return at->second;
  DnsQuery::Question question;
  question.key = key;
  question.name = key.substr(1);
  question.ipv4 = families.ipv4;
  question.ipv6 = families.ipv6;
  question.service = key[0] == service_mark;
  return make_query(std::move(key), std::move(question));
}

void Resolver::renew(std::string_view key, std::shared_ptr<const DnsRecord> known) {
  DnsQuery::Question question;
  question.key = key;
  question.name = key.substr(1);
  question.ipv4 = known->failed.ipv4;
  question.ipv6 = known->failed.ipv6;
  question.known = std::move(known);
  std::string in_flight = in_flight_key(question);
  if (!in_flight_.contains(in_flight)) make_query(std::move(in_flight), std::move(question))->start();
}

DnsQuery::Ref Resolver::make_query(std::string in_flight_key, DnsQuery::Question question) {
  question.by_system = options_.servers.empty();
  question.pause_ms = options_.try_timeout_ms;
  question.renew_after_ms = options_.renew_after_ms;
  DnsQuery::Ref query = DnsQuery::make(loop_, *this, std::move(question));
  queries_.push_back(*query.operator->());
  in_flight_.emplace(std::move(in_flight_key), query);
  return query;
}

uint64_t Resolver::expiry_ms(uint32_t ttl_s) const {
  return loop_.now_ms() + uint64_t{options_.valid_s.value_or(std::min(ttl_s, ttl_max_s))} * 1000;
}

void Resolver::finished(DnsQuery& query) {
  const std::string& key = query.question().key;
  if (query.result()) {
    if ((*query.result())->expires_ms > loop_.now_ms()) remember(key, *query.result());
    else forget(key);
  }
  in_flight_.erase(in_flight_key(query.question()));
}

void Resolver::remember(const std::string& key, std::shared_ptr<DnsRecord> record) {
  forget(key);
  auto entry = std::make_unique<Entry>();
  entry->key = key;
  entry->record = std::move(record);
  cached_records_ += entry->size();
  by_use_.push_back(*entry);
  cache_.emplace(key, std::move(entry));
  while (cache_.size() > options_.names_max || cached_records_ > options_.records_max) forget(by_use_.front()->key);
}

void Resolver::forget(std::string_view key) {
  auto at = cache_.find(key);
  if (at == cache_.end()) return;
  cached_records_ -= at->second->size();
  cache_.erase(at);
}

}  // namespace fairlead
