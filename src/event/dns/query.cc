// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/dns/query.h"

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace fairlead {

Error dns_error(int ares_status) {
  switch (ares_status) {
    case ARES_EFORMERR: return Error{Fault::unavailable, Side::upstream, 1, "Format error"};
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_ENONAME:
    case ARES_EBADNAME: return Error{Fault::unavailable, Side::upstream, dns_not_found, "Host not found"};
    case ARES_ENOTIMP: return Error{Fault::unavailable, Side::upstream, 4, "Unimplemented"};
    case ARES_EREFUSED: return Error{Fault::unavailable, Side::upstream, 5, "Operation refused"};
    case ARES_ETIMEOUT: return Error{Fault::timeout, Side::upstream, 110, "Operation timed out"};
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION: return Error{Fault::canceled, Side::local, 125, "Operation canceled"};
    default: return Error{Fault::unavailable, Side::upstream, 2, "Server failure"};
  }
}

DnsQuery::DnsQuery(Loop& loop, Owner& owner, Question question)
    : loop_(loop), owner_(&owner), question_(std::move(question)), done_(loop) {
  if (question_.service) {
    parts_[0].emplace(*this, DnsType::srv, question_.name);
    return;
  }
  if (question_.by_system) {
    parts_[0].emplace(*this, DnsType::a, question_.name);
    return;
  }
  if (question_.ipv4) parts_[0].emplace(*this, DnsType::a, question_.name);
  if (question_.ipv6) parts_[1].emplace(*this, DnsType::aaaa, question_.name);
}

void DnsQuery::start() {
  if (std::exchange(started_, true)) return;
  Ref hold(this);
  size_t server = owner_->servers().first();
  for (auto& part : parts_) {
    if (part) part->server = server;
    if (part) ask(*part);
  }
}

void DnsQuery::orphan() {
  owner_ = nullptr;
  for (auto& part : parts_) {
    if (part) part->disarm();
  }
  if (!result_) result_.emplace(dns_error(ARES_ECANCELLED));
  done_.set();
}

// The reference of an open question is taken here and given back by its callback.
void DnsQuery::ask(Part& part) {
  ++references_;
  part.by_tcp = false;
  DnsChannel& channel = owner_->servers().channel(part.server);
  if (question_.by_system && !question_.service) {
    int family = question_.ipv4 && question_.ipv6 ? AF_UNSPEC : question_.ipv4 ? AF_INET : AF_INET6;
    channel.ask_system(part.name.c_str(), family, &DnsQuery::on_system_reply, &part);
  } else {
    channel.ask(part.name.c_str(), static_cast<int>(part.type), &DnsQuery::on_reply, &part);
  }
}

void DnsQuery::ask_by_tcp(Part& part) {
  DnsServers& servers = owner_->servers();
  servers.note_reply(part.server);
  DnsChannel* channel = servers.tcp_channel(part.server);
  if (!channel) return end(part, ARES_ENOMEM);
  ++references_;
  part.by_tcp = true;
  channel->ask(part.name.c_str(), static_cast<int>(part.type), &DnsQuery::on_reply, &part);
}

bool DnsQuery::has_addresses() const {
  return std::any_of(std::begin(parts_), std::end(parts_),
                     [](const auto& part) { return part && part->ended && part->status == ARES_SUCCESS; });
}

// Nobody is kept waiting for the second family longer than one round of the servers.
bool DnsQuery::ask_again(Part& part, int status) {
  DnsServers& servers = owner_->servers();
  // Nobody listens there: nothing else that it is asked will be answered, of which c-ares need not hear. Where TCP fails, UDP need not.
  if (status == ARES_ECONNREFUSED && !question_.by_system && !part.by_tcp) servers.channel(part.server).drop_asked();
  if (status == ARES_ECANCELLED) status = ARES_ECONNREFUSED;
  bool silent = status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED;
  bool refused = status == ARES_ESERVFAIL || status == ARES_EREFUSED || status == ARES_ENOTIMP;
  if (!silent) servers.note_reply(part.server);
  else if (!part.by_tcp) servers.note_silent(part.server);
  if (silent || refused) part.server = servers.after(part.server);
  bool within_round = silent && ++part.silent % servers.count() != 0;
  if (!within_round && (waiters_ == 0 || has_addresses())) return false;
  if (within_round || status == ARES_ETIMEOUT || (refused && ++part.refusals < servers.count())) {
    ask(part);
    return true;
  }
  // Nobody listens there, which is known at once: not asked in a circle.
  if (status == ARES_ECONNREFUSED) {
    loop_.arm(part, question_.pause_ms);
    return true;
  }
  return false;
}

void DnsQuery::on_pause_end(Timer& timer) {
  Part& part = static_cast<Part&>(timer);
  Ref hold(&part.query);
  if (part.query.waiters_ > 0) {
    part.query.ask(part);
  } else {
    part.query.end(part, ARES_ETIMEOUT);
  }
}

void DnsQuery::on_reply(void* argument, int status, int, unsigned char* bytes, int size) {
  Part& part = *static_cast<Part*>(argument);
  DnsQuery& query = part.query;
  Ref hold(&query);
  --query.references_;
  if (!query.owner_) return;
  std::span<const unsigned char> reply(bytes, static_cast<size_t>(size));
  if (is_truncated(reply) && query.may_ask_by_tcp(part)) return query.ask_by_tcp(part);
  if (query.ask_again(part, status)) return;
  if (status == ARES_SUCCESS) {
    query.take_reply(part, reply);
  } else {
    query.end(part, status);
  }
}

void DnsQuery::take_reply(Part& part, std::span<const unsigned char> bytes) {
  auto reply = parse_dns_reply(bytes, part.type);
  // c-ares hands on no more of a datagram than this.
  if (!reply && bytes.size() >= NS_PACKETSZ && may_ask_by_tcp(part)) return ask_by_tcp(part);
  if (!reply) return end(part, ARES_EBADRESP);
  // An alias counts with its own TTL, too.
  if (part.aliases > 0) reply->ttl_s = std::min(reply->ttl_s, part.reply.ttl_s);
  part.reply = std::move(*reply);
  if (!part.reply.is_empty()) return end(part, ARES_SUCCESS);
  if (part.reply.alias.empty()) return end(part, ARES_ENODATA);
  if (++part.aliases > aliases_max) return end(part, ARES_ESERVFAIL);
  part.name = part.reply.alias;
  ask(part);
}

void DnsQuery::on_system_reply(void* argument, int status, int, ares_addrinfo* found) {
  Part& part = *static_cast<Part*>(argument);
  DnsQuery& query = part.query;
  Ref hold(&query);
  --query.references_;
  if (query.owner_ && status == ARES_SUCCESS) {
    uint32_t ttl_s = UINT32_MAX;
    for (const ares_addrinfo_node* node = found->nodes; node; node = node->ai_next) {
      part.reply.addresses.push_back(Addr::from_sockaddr(node->ai_addr, static_cast<socklen_t>(node->ai_addrlen)));
      ttl_s = std::min(ttl_s, static_cast<uint32_t>(std::max(node->ai_ttl, 0)));
    }
    part.reply.ttl_s = ttl_s;
    if (part.reply.addresses.empty()) status = ARES_ENODATA;
  }
  if (found) ares_freeaddrinfo(found);
  if (!query.owner_ || query.ask_again(part, status)) return;
  query.end(part, status);
}

void DnsQuery::end(Part& part, int status) {
  part.ended = true;
  part.status = status;
  for (auto& other : parts_) {
    if (other && !other->ended) return;
  }
  finish();
}

// One family that has addresses is enough. Without any a failure says more than the absence of records.
Result<std::shared_ptr<DnsRecord>> DnsQuery::gather() const {
  auto record = question_.known ? std::make_shared<DnsRecord>(*question_.known) : std::make_shared<DnsRecord>();
  record->failed = {false, false};
  uint32_t ttl_s = UINT32_MAX;
  int status = ARES_ENOTFOUND;
  for (auto& part : parts_) {
    if (!part) continue;
    int part_status = part->ended ? part->status : ARES_ETIMEOUT;
    if (part_status == ARES_SUCCESS) {
      record->addresses.insert(record->addresses.end(), part->reply.addresses.begin(), part->reply.addresses.end());
      if (question_.service) record->services = part->reply.services;
      ttl_s = std::min(ttl_s, part->reply.ttl_s);
    } else if (part_status != ARES_ENODATA && part_status != ARES_ENOTFOUND) {
      status = part_status;
      (part->type == DnsType::a ? record->failed.ipv4 : record->failed.ipv6) = true;
    }
  }
  if (record->addresses.empty() && record->services.empty()) return dns_error(status);
  record->expires_ms = owner_->expiry_ms(ttl_s);
  if (question_.known) record->expires_ms = std::min(record->expires_ms, question_.known->expires_ms);
  bool is_partial = record->failed.ipv4 || record->failed.ipv6;
  record->renew_ms = is_partial ? loop_.now_ms() + question_.renew_after_ms : UINT64_MAX;
  return record;
}

void DnsQuery::finish() {
  result_.emplace(gather());
  done_.set();
  owner_->finished(*this);
}

}  // namespace fairlead
