// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// DnsQuery: one question about a name in flight, A and AAAA side by side or SRV, aliases followed. Shared by all who wait for it, and
// counted: by the resolver while it is in flight, by c-ares for each open question, by each waiter. So waiters may go at any time and the
// query ends by itself. The cache, limits and the interface are the resolver's.
#pragma once

#include <ares.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "event/dns/reply.h"
#include "event/dns/servers.h"
#include "event/loop/sync.h"

namespace fairlead {

struct DnsFamilies {
  bool ipv4 = true;
  bool ipv6 = true;
};

// What is known of a name: shared by the cache and by those who waited.
struct DnsRecord {
  std::vector<Addr> addresses;       // never both empty
  std::vector<DnsService> services;
  DnsFamilies failed = {false, false};  // asked for, and not answered: which says nothing of what there is
  uint64_t expires_ms = 0;      // Loop::now_ms
  uint64_t renew_ms = UINT64_MAX;  // likewise: when the failed family is to be asked for again
  uint32_t turns = 0;           // how often it was given out: each time begins with the next address
};

// nginx's codes and words, in Error::sys and Error::what.
constexpr int dns_not_found = 3;
Error dns_error(int ares_status);

class DnsQuery : public Link {
 public:
  // What a query asks of its resolver. Calls come from inside c-ares.
  class Owner {
   public:
    virtual DnsServers& servers() = 0;
    // When an answer with this TTL is not to be trusted any more.
    virtual uint64_t expiry_ms(uint32_t ttl_s) const = 0;
    // `query.result()` is there. The owner gives its reference back.
    virtual void finished(DnsQuery& query) = 0;

   protected:
    ~Owner() = default;
  };
  struct Question {
    std::string key;   // under which the owner knows it
    std::string name;  // lower case
    bool ipv4 = true, ipv6 = true;
    bool service = false;    // its SRV records, no addresses
    bool by_system = false;  // hosts file and search domains
    uint32_t pause_ms = 0;   // before a question is asked again where nobody listened
    uint32_t renew_after_ms = 0;  // DnsRecord::renew_ms, from when a family failed
    std::shared_ptr<const DnsRecord> known;  // to be completed by the families asked for; nobody waits for that
  };

  class Ref {
   public:
    Ref() = default;
    explicit Ref(DnsQuery* query) : query_(query) { ++query->references_; }
    Ref(Ref&& other) noexcept : query_(std::exchange(other.query_, nullptr)) {}
    Ref(const Ref& other) : query_(other.query_) { ++query_->references_; }
    Ref& operator=(Ref other) noexcept {
      std::swap(query_, other.query_);
      return *this;
    }
    ~Ref() {
      if (query_ && --query_->references_ == 0) delete query_;
    }
    DnsQuery* operator->() const { return query_; }

   private:
    DnsQuery* query_ = nullptr;
  };

  static Ref make(Loop& loop, Owner& owner, Question question) { return Ref(new DnsQuery(loop, owner, std::move(question))); }
  DnsQuery(const DnsQuery&) = delete;
  DnsQuery& operator=(const DnsQuery&) = delete;

  // Sends the questions, once; may finish at once. After the first enter(), if somebody waits.
  void start();
  // The owner goes: all who wait get Fault::canceled.
  void orphan();

  bool has_owner() const { return owner_ != nullptr; }
  const Question& question() const { return question_; }
  // Set when result() is there.
  Event& done() { return done_; }
  const Result<std::shared_ptr<DnsRecord>>& result() const { return *result_; }
  // Without it: as if the questions that are still open failed now.
  Result<std::shared_ptr<DnsRecord>> result_by_now() const { return result_ ? *result_ : gather(); }
  // As long as somebody waits, a question without an answer is asked again.
  void enter() { ++waiters_; }
  void leave() { --waiters_; }

 private:
  // One of the questions: a type, or all that the system knows.
  struct Part : Timer {
    Part(DnsQuery& of, DnsType asked, std::string first_name)
        : Timer(&DnsQuery::on_pause_end), query(of), type(asked), name(std::move(first_name)) {}
    DnsQuery& query;
    DnsType type;
    std::string name;  // the end of the aliases so far
    unsigned aliases = 0;
    size_t server = 0;     // who is asked
    bool by_tcp = false;   // because its reply did not fit a datagram
    size_t silent = 0;     // how many have been
    size_t refusals = 0;   // how many said that they failed
    bool ended = false;
    int status = ARES_SUCCESS;
    DnsReply reply;
  };
  static constexpr unsigned aliases_max = 16;

  DnsQuery(Loop& loop, Owner& owner, Question question);
  ~DnsQuery() = default;
  static void on_reply(void* part, int status, int timeouts, unsigned char* bytes, int size);
  static void on_system_reply(void* part, int status, int timeouts, ares_addrinfo* found);
  static void on_pause_end(Timer& part);
  void ask(Part& part);
  // The system's channel goes to TCP by itself.
  bool may_ask_by_tcp(const Part& part) const { return !part.by_tcp && !question_.by_system; }
  void ask_by_tcp(Part& part);
  // True: the status asks for another try, which is under way.
  bool ask_again(Part& part, int status);
  bool has_addresses() const;
  void take_reply(Part& part, std::span<const unsigned char> bytes);
  void end(Part& part, int status);
  Result<std::shared_ptr<DnsRecord>> gather() const;
  void finish();

  Loop& loop_;
  Owner* owner_;
  Question question_;
  Event done_;
  std::optional<Part> parts_[2];
  std::optional<Result<std::shared_ptr<DnsRecord>>> result_;
  uint32_t references_ = 0;
  uint32_t waiters_ = 0;
  bool started_ = false;
};

}  // namespace fairlead
