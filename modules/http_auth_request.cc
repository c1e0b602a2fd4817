// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_auth_request: whether a request is let in is decided by the status of a subrequest: 2xx lets it in, 401 and 403 deny, anything else
// is a failure. What the service says besides may go to the client or to the upstream.
#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "core/base/format.h"
#include "core/base/lru_cache.h"
#include "core/base/text.h"
#include "core/conf/module.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "event/loop/child.h"
#include "event/net/upstreams.h"
#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/request/answer_fields.h"
#include "http/request/audit.h"
#include "http/request/body_beginning.h"
#include "http/request/client_fields.h"
#include "http/request/field_variables.h"
#include "http/request/own_answer.h"
#include "http/request/request.h"
#include "http/request/subrequest.h"

namespace fairlead {
namespace {

using namespace http;

constexpr std::string_view check_name = "auth_request";

struct AssignedVariable {
  uint32_t index;
  Template value;
};

// What a failure of the service means.
struct OnFailure {
  bool open = false;      // the request is let in
  uint16_t status = 500;  // else: what the client gets
};

// auth_request_cache: decisions are kept for a time, by a text that says what they depend on.
struct CacheRule {
  Template key;  // not set: none are
  uint64_t ttl_ms = 0;
  uint64_t entries_max = 1000;  // per worker and block that has settings of its own
};
constexpr uint64_t cache_entries_limit = 1'000'000;

struct AuthRequestConf {
  bool is_on = false;
  SubrequestTarget target;
  std::vector<AssignedVariable> assigned;
  Msec timeout{0};
  OnFailure on_failure;
  std::vector<std::string_view> passed_fields;  // of the client, to the service; none: all
  std::vector<std::string_view> to_upstream, to_client;
  BodyShare body;                               // of the client's that the service gets
  Size denial_bytes{0};                         // of a denial's body that goes to the client; 0: denials are the server's own pages
  CacheRule cache;
};

ConfResult<Unit> set_target(Line& line, AuthRequestConf& own) {
  own.is_on = line.word(1) != "off";
  if (!own.is_on) return Unit();
  auto target = parse_subrequest_target(line.word(1), line.arena());
  if (!target) return format("invalid URI \"{}\"", line.word(1));
  own.target = *target;
  return Unit();
}

ConfResult<Unit> add_assigned(Line& line, AuthRequestConf& own) {
  auto name = variable_name(line, 1);
  if (!name) return name.error();
  VariableDef def;
  def.name = *name;
  def.get = [](Session&, uintptr_t) { return Value::missing(); };  // as long as no service was asked
  def.flags = variable_changeable | variable_weak;
  def.engines = http_variable;
  auto index = variables_of(line).define(def, line.place());
  if (!index) return index.error();
  auto value = compile_word(line, 2);
  if (!value) return value.error();
  own.assigned.push_back({*index, std::move(*value)});
  return Unit();
}

ConfResult<Unit> set_on_failure(Line& line, AuthRequestConf& own) {
  std::string_view word = line.word(1);
  own.on_failure = OnFailure();
  if (word == "close") return Unit();
  if (word == "open") {
    own.on_failure.open = true;
    return Unit();
  }
  auto status = parse_decimal(word);
  if (!status || *status < 400 || *status > 599) return line.invalid_value(1);
  own.on_failure.status = static_cast<uint16_t>(*status);
  return Unit();
}

ConfResult<Unit> add_names(Line& line, size_t first, std::vector<std::string_view>& names) {
  for (size_t i = first; i < line.words().size(); ++i) {
    if (!is_token(line.word(i))) return line.invalid_parameter(i);
    names.push_back(line.word(i));
  }
  return Unit();
}

ConfResult<Unit> add_passed(Line& line, AuthRequestConf& own) { return add_names(line, 1, own.passed_fields); }

ConfResult<Unit> add_copied(Line& line, AuthRequestConf& own) {
  if (line.word(1) == "to_upstream") return add_names(line, 2, own.to_upstream);
  if (line.word(1) == "to_client") return add_names(line, 2, own.to_client);
  return line.invalid_parameter(1);
}

ConfResult<Unit> set_cache(Line& line, AuthRequestConf& own) {
  own.cache = CacheRule();
  if (line.word(1) == "off" && line.word_count() == 1) return Unit();
  if (line.word_count() < 2) return std::string("a time must be given");
  auto key = compile_word(line, 1);
  if (!key) return key.error();
  auto ttl = parse_time_ms(line.word(2));
  if (!ttl || *ttl == 0) return line.invalid_value(2);
  own.cache.key = std::move(*key);
  own.cache.ttl_ms = *ttl;
  if (line.word_count() == 2) return Unit();
  if (!line.word(3).starts_with("max=")) return line.invalid_parameter(3);
  auto most = parse_decimal(line.word(3).substr(4));
  if (!most || *most == 0 || *most > cache_entries_limit) return line.invalid_parameter(3);
  own.cache.entries_max = *most;
  return Unit();
}

bool is_on(const Block& block) { return conf<AuthRequestConf>(block).is_on; }

bool is_denial(unsigned status) { return status >= 300 && status < 500; }

// What the service said, of now or of an earlier request alike.
struct Said {
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body, content_type;
  bool is_cut = false;
  std::vector<std::string> assigned;  // values of auth_request_set
};

Said take_said(Subrequest& asked, const AuthRequestConf& own) {
  Said said;
  said.status = asked.status();
  for (const Headers::Field& field : asked.fields()) said.fields.emplace_back(field.name, field.value);
  for (size_t i = 0; i < asked.body().count(); ++i) said.body += asked.body()[i].view();
  said.content_type = asked.fields().value(KnownHeader::content_type);
  if (said.content_type.empty()) said.content_type = asked.content_type();
  said.is_cut = asked.is_cut();
  for (const AssignedVariable& variable : own.assigned) said.assigned.emplace_back(variable.value.evaluate(asked.request()));
  return said;
}

// What the service's answers put on a request.
struct GivenFields : AnswerFields {};

void copy_to_upstream(Request& request, const AuthRequestConf& own, const Said& said) {
  drop_fields(request, own.to_upstream);
  for (std::string_view name : own.to_upstream) {
    for (const auto& [key, value] : said.fields)
      if (equal_nocase(key, name)) request.slot<GivenFields>().to_upstream.add(request.head.headers, name, value);
    forget_field(request, name);
  }
}

void copy_to_client(Request& request, std::string_view name, const Said& said) {
  Headers& to = request.response.head.headers;
  AddedFields& added = request.slot<GivenFields>().to_client;
  added.withdraw(to, name);
  for (const auto& [key, value] : said.fields)
    if (equal_nocase(key, name)) added.add(to, name, value);
}

// The service's own denial, with its body; `satisfy any` may still outweigh a denial, so it must be a status then.
bool passes_denial(const Request& request, const AuthRequestConf& own, const Said& said) {
  return own.denial_bytes > 0 && is_denial(said.status) && !said.is_cut && conf<CoreConf>(request).satisfy == Satisfy::all;
}

// Of its own message, or said anew.
constexpr KnownHeaderSet not_of_denial(KnownHeader::connection, KnownHeader::keep_alive, KnownHeader::date, KnownHeader::server,
                                       KnownHeader::content_length, KnownHeader::transfer_encoding, KnownHeader::content_type);

Verdict pass_denial(Request& request, const Said& said) {
  Headers& to = request.response.head.headers;
  to.clear();
  for (const auto& [name, value] : said.fields)
    if (!not_of_denial.holds(find_known_header(name))) to.add(request.arena().copy(name), request.arena().copy(value));
  return answer_with(request, said.status, said.content_type, said.body);
}

Verdict failed(Request& request, const AuthRequestConf& own, std::string_view rule) {
  if (!own.on_failure.open) request.slot<GivenFields>().deny(request);
  audit(request, {check_name, own.on_failure.open ? Decided::failed_open : Decided::failed, rule, {}});
  if (!own.on_failure.open) return Verdict::status(own.on_failure.status);
  request.logger.warn("the request is let in because auth_request_fail is \"open\"");
  return Verdict::allow();
}

Verdict decide(Request& request, const AuthRequestConf& own, const Said& said) {
  for (size_t i = 0; i < own.assigned.size(); ++i) request.set_variable(own.assigned[i].index, request.arena().copy(said.assigned[i]));
  if (said.status >= 200 && said.status < 300) {
    copy_to_upstream(request, own, said);
    for (std::string_view name : own.to_client) copy_to_client(request, name, said);
    audit(request, {check_name, Decided::allowed, "service", {}});
    return Verdict::allow();
  }
  bool passes = passes_denial(request, own, said);
  if (!passes && said.status != 401 && said.status != 403) {
    request.logger.error("auth request unexpected status: {}", said.status);
    return failed(request, own, "status");
  }
  audit(request, {check_name, Decided::denied, "service", {}});
  request.slot<GivenFields>().deny(request);
  if (passes) return pass_denial(request, said);
  for (std::string_view name : own.to_client) copy_to_client(request, name, said);
  if (said.status == 401) copy_to_client(request, "WWW-Authenticate", said);
  return Verdict::status(said.status);
}

// Of a worker: what services said, for each Conf that keeps it and each server: one location of that name is not another's.
class KeptDecisions {
 public:
  explicit KeptDecisions(Worker& worker) : worker_(worker) {}

  // nullptr: there is none that still holds. Valid until the next put().
  const Said* find(const Request& request, const AuthRequestConf& own, std::string_view key) {
    Kept* kept = of(request, own).find(key);
    return kept && worker_.loop().now_ms() < kept->until_ms ? &kept->said : nullptr;
  }
  // What is no decision is not kept.
  void put(const Request& request, const AuthRequestConf& own, std::string_view key, const Said& said) {
    bool is_decision = (said.status >= 200 && said.status < 300) || said.status == 401 || said.status == 403;
    if (is_decision) of(request, own).put(key, Kept{said, worker_.loop().now_ms() + own.cache.ttl_ms});
  }

 private:
  struct Kept {
    Said said;
    uint64_t until_ms;
  };
  using Place = std::pair<const AuthRequestConf*, const Server*>;
  LruCache<Kept>& of(const Request& request, const AuthRequestConf& own) {
    Place place(&own, request.server);
    auto found = caches_.find(place);
    if (found != caches_.end()) return found->second;
    uint64_t seed = worker_.state<Upstreams>().random().next();
    return caches_.try_emplace(place, own.cache.entries_max, seed).first->second;
  }
  Worker& worker_;
  std::map<Place, LruCache<Kept>> caches_;
};

// What the service gets of the client's body. next(): the plan is complete.
Task<Verdict> add_body(Request& request, const AuthRequestConf& own, SubrequestPlan& plan, bool& is_cut) {
  BodyBeginning beginning;
  Verdict verdict = co_await read_beginning(request, own.body, beginning);
  if (!verdict.is_next()) co_return verdict;
  is_cut = beginning.is_cut;
  plan.method = request.method;
  plan.method_text = request.method_text;
  plan.body_bytes = beginning.bytes.size();
  plan.body = request.arena().make<BytesBody>(std::move(beginning.bytes));
  co_return Verdict::next();
}

void pass_fields(Request& request, const AuthRequestConf& own, Request& to, bool body_is_cut) {
  for (std::string_view name : own.passed_fields)
    for (const Headers::Field* field = request.head.headers.find(name); field; field = request.head.headers.next_same(*field))
      to.head.headers.add(field->known, field->name, field->value);
  if (own.body.bytes_max > 0) to.head.headers.remove("X-Auth-Partial-Body");  // it is not for the client to say
  if (body_is_cut) to.head.headers.add("X-Auth-Partial-Body", "true");
}

Task<Verdict> ask(Request& request) {
  const AuthRequestConf& own = conf<AuthRequestConf>(request);
  request.slot<GivenFields>().start(request);
  std::string_view key = own.cache.key.is_set() ? own.cache.key.evaluate(request) : std::string_view();
  KeptDecisions& kept = request.worker().state<KeptDecisions>();
  const Said* known = key.empty() ? nullptr : kept.find(request, own, key);
  if (known) co_return decide(request, own, *known);
  SubrequestPlan plan;
  bool body_is_cut = false;
  if (own.body.bytes_max > 0 && request.head.has_body()) {
    Verdict verdict = co_await add_body(request, own, plan, body_is_cut);
    if (!verdict.is_next()) co_return verdict;
  }
  plan.uri = own.target.uri;
  plan.args = own.target.args;
  plan.copies_fields = own.passed_fields.empty();
  plan.response_bytes_max = own.denial_bytes;
  plan.keeps_body = &is_denial;
  Subrequest asked(request, plan);
  mark_question(asked.request());
  pass_fields(request, own, asked.request(), body_is_cut);
  Task<Unit> running = asked.run();
  Deadline<Unit> bounded(request.loop(), std::move(running), request.loop().deadline(own.timeout));
  auto finished = co_await bounded;
  if (!finished) {
    request.logger.error("auth request timed out");
    co_return failed(request, own, "timeout");
  }
  Said said = take_said(asked, own);
  if (!key.empty()) kept.put(request, own, key, said);
  co_return decide(request, own, said);
}

constexpr std::array rows = {
    custom<set_target, AuthRequestConf, &AuthRequestConf::is_on, &AuthRequestConf::target>(
        "auth_request", in_http_any, words(1), "The URI of a subrequest whose status decides whether a request is let in.")
        .takes("uri | off").usual("off"),
    custom<add_assigned, AuthRequestConf, &AuthRequestConf::assigned>(
        "auth_request_set", in_http_any, words(2), "Sets a variable after the subrequest, to what its own variables say.")
        .many()
        .takes("$variable value"),
    slot<AuthRequestConf, &AuthRequestConf::timeout>(
        "auth_request_timeout", in_http_any,
        "Time until the subrequest's response has begun (a denial that is passed on: until its body is there), 0: only the limits of its "
        "location."),
    custom<set_on_failure, AuthRequestConf, &AuthRequestConf::on_failure>(
        "auth_request_fail", in_http_any, words(1), "What a failed subrequest means: the request is let in, or gets 500 or another status.")
        .takes("open | close | code").usual("close"),
    custom<add_passed, AuthRequestConf, &AuthRequestConf::passed_fields>("auth_request_pass_headers", in_http_any, words_from(1),
                                                                         "The only fields of the client that the subrequest has.")
        .many()
        .takes("field ..."),
    custom<add_copied, AuthRequestConf, &AuthRequestConf::to_upstream, &AuthRequestConf::to_client>(
        "auth_request_copy_headers", in_http_any, words_from(2),
        "Fields of the subrequest's response that the upstream gets, or that the client gets. The client's own of the former never reach "
        "the upstream, whoever lets the request in, also where auth_request is off.")
        .many()
        .takes("to_upstream | to_client field ..."),
    slot<AuthRequestConf, &AuthRequestConf::body>(
        "auth_request_body", in_http_any,
        "How much of the client's body the subrequest has, with its method; of a longer body its beginning, or that is 413."),
    slot<AuthRequestConf, &AuthRequestConf::denial_bytes>("auth_request_pass_denial", in_http_any,
                                                          "The largest body of a denial that is passed on as it is, 0: none is."),
    custom<set_cache, AuthRequestConf, &AuthRequestConf::cache>(
        "auth_request_cache", in_http_any, words(1, 3),
        "Keeps decisions (2xx, 401, 403) for a time, by a text that must say all they depend on; an empty one keeps none.")
        .takes("off | key time [max=number]"),
};

constexpr std::string_view after[] = {"access", "http_auth_basic", "http_auth_jwt"};  // what needs nobody else decides first
using Reserved = ReservedNames<AuthRequestConf, &AuthRequestConf::to_upstream>;
constexpr std::array phases = {Reserved::before_access, PhaseEntry{.phase = Phase::access, .run = &ask, .applies = &is_on},
                               Reserved::behind_access};
constexpr Hooks hooks = {.phases = phases, .filters = {}, .forward = {}};

}  // namespace

extern constinit const Module http_auth_request_module = {
    .name = "http_auth_request", .conf = conf_of<AuthRequestConf>, .directives = rows, .after = after, .http = &hooks};

}  // namespace fairlead
