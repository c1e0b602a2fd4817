// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_auth_request: whether a request is let in is decided by the status of a subrequest: 2xx lets it in, 401 and 403 deny, anything else
// is a failure. What the service says besides may go to the client or to the upstream.
#include <algorithm>
#include <array>
#include <vector>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/module.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "event/loop/child.h"
#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/message/file_body.h"
#include "http/request/audit.h"
#include "http/request/read_body.h"
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

struct AuthRequestConf {
  bool is_on = false;
  SubrequestTarget target;
  std::vector<AssignedVariable> assigned;
  Msec timeout{0};
  OnFailure on_failure;
  std::vector<std::string_view> passed_fields;  // of the client, to the service; none: all
  std::vector<std::string_view> to_upstream, to_client;
  uint64_t body_bytes = 0;                      // of the client's body that the service gets; 0: none
  bool sends_part = false;                      // of a longer one it gets the beginning; else that is 413
  Size denial_bytes{0};                         // of a denial's body that goes to the client; 0: denials are the server's own pages
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

ConfResult<Unit> set_body(Line& line, AuthRequestConf& own) {
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_mega);
  if (!bytes) return line.invalid_value(1);
  own.body_bytes = *bytes;
  own.sends_part = line.word_count() > 1;
  if (own.sends_part && line.word(2) != "partial") return line.invalid_parameter(2);
  return Unit();
}

ConfResult<Unit> add_copied(Line& line, AuthRequestConf& own) {
  if (line.word(1) == "to_upstream") return add_names(line, 2, own.to_upstream);
  if (line.word(1) == "to_client") return add_names(line, 2, own.to_client);
  return line.invalid_parameter(1);
}

bool is_on(const Block& block) { return conf<AuthRequestConf>(block).is_on; }

// The client's own fields of these names never pass: the upstream believes them to be the service's.
void copy_to_upstream(Request& request, const AuthRequestConf& own, const Headers& from) {
  for (std::string_view name : own.to_upstream) {
    request.head.headers.remove(name);
    for (const Headers::Field* field = from.find(name); field; field = from.next_same(*field))
      request.head.headers.add(name, request.arena().copy(field->value));
  }
}

void copy_field(Request& request, std::string_view name, std::string_view value) {
  request.response.head.headers.add(request.arena().copy(name), request.arena().copy(value));
}

void copy_to_client(Request& request, const AuthRequestConf& own, const Headers& from) {
  for (std::string_view name : own.to_client)
    for (const Headers::Field* field = from.find(name); field; field = from.next_same(*field)) copy_field(request, name, field->value);
}

void copy_challenges(Request& request, const Headers& from) {
  const Headers::Field* field = from.find(KnownHeader::www_authenticate);
  for (; field; field = from.next_same(*field)) copy_field(request, "WWW-Authenticate", field->value);
}

// The service's own denial, with its body; `satisfy any` may still outweigh a denial, so it must be a status then.
bool passes_denial(const Request& request, const AuthRequestConf& own, const Subrequest& asked) {
  unsigned status = asked.status();
  return own.denial_bytes > 0 && status >= 300 && status < 500 && !asked.is_cut() && conf<CoreConf>(request).satisfy == Satisfy::all;
}

Verdict pass_denial(Request& request, const Subrequest& asked) {
  Response& response = request.response;
  response.head.headers.clear();
  for (const Headers::Field& field : asked.fields()) {
    bool ours = field.known == KnownHeader::connection || field.known == KnownHeader::keep_alive || field.known == KnownHeader::date ||
                field.known == KnownHeader::server || field.known == KnownHeader::content_length ||
                field.known == KnownHeader::transfer_encoding || field.known == KnownHeader::content_type;
    if (!ours) copy_field(request, field.name, field.value);
  }
  std::string body;
  for (size_t i = 0; i < asked.body().count(); ++i) body += asked.body()[i].view();
  response.head.status = static_cast<uint16_t>(asked.status());
  response.content_type = request.arena().copy(asked.fields().value(KnownHeader::content_type));
  if (response.content_type.empty()) response.content_type = request.arena().copy(asked.content_type());
  response.foreign_location = true;
  response.head.framing.content_length = static_cast<int64_t>(body.size());
  response.body = request.arena().make<BytesBody>(Slice(request.arena().copy(body)));
  return Verdict::respond();
}

Verdict failed(Request& request, const AuthRequestConf& own, std::string_view rule) {
  audit(request, {check_name, own.on_failure.open ? Decided::failed_open : Decided::failed, rule, {}});
  if (!own.on_failure.open) return Verdict::status(own.on_failure.status);
  request.logger.warn("the request is let in because auth_request_fail is \"open\"");
  return Verdict::allow();
}

Verdict decide(Request& request, const AuthRequestConf& own, const Subrequest& asked) {
  unsigned status = asked.status();
  if (status >= 200 && status < 300) {
    copy_to_upstream(request, own, asked.fields());
    copy_to_client(request, own, asked.fields());
    audit(request, {check_name, Decided::allowed, "service", {}});
    return Verdict::allow();
  }
  bool passes = passes_denial(request, own, asked);
  if (passes || status == 401 || status == 403) audit(request, {check_name, Decided::denied, "service", {}});
  if (passes) return pass_denial(request, asked);
  if (status == 401 || status == 403) {
    copy_to_client(request, own, asked.fields());
    if (status == 401) copy_challenges(request, asked.fields());
    return Verdict::status(status);
  }
  request.logger.error("auth request unexpected status: {}", status);
  return failed(request, own, "status");
}

// The beginning of the client's body, which is read whole and kept for the upstream.
struct BodyStart {
  Chain bytes;
  bool is_cut = false;
};

void take_piece(BodyStart& start, Slice piece, uint64_t most) {
  uint64_t room = most - start.bytes.size();
  if (piece.size > room) start.is_cut = true;
  if (room > 0) start.bytes.push_back(piece.cut_front(std::min<uint64_t>(room, piece.size)));
}

Task<Result<Unit>> read_start(Request& request, uint64_t most, BodyStart& start) {
  auto read = co_await read_body(request);
  if (!read) co_return read.error();
  Body& body = request.body();
  for (Chunk chunk; !start.is_cut; chunk.clear()) {
    Poll polled = co_await next(body, chunk);
    if (polled == Poll::end) break;
    if (polled != Poll::ready) co_return body.error();
    if (!chunk.is_file()) {
      take_piece(start, std::move(chunk.bytes), most);
      continue;
    }
    ReadFileBody file(std::move(chunk.file), chunk.file_offset, chunk.file_bytes);
    for (Chunk piece; !start.is_cut && file.poll(piece) == Poll::ready; piece.clear()) take_piece(start, std::move(piece.bytes), most);
    if (file.error().fault != Fault::none) co_return file.error();
  }
  rewind_body(request);
  co_return Unit();
}

// What the service gets of the client's body. next(): the plan is complete.
Task<Verdict> add_body(Request& request, const AuthRequestConf& own, SubrequestPlan& plan, bool& is_cut) {
  int64_t announced = request.head.framing.content_length;
  if (!own.sends_part && announced > static_cast<int64_t>(own.body_bytes)) co_return Verdict::status(413);
  BodyStart start;
  auto read = co_await read_start(request, own.body_bytes, start);
  if (!read) co_return Verdict::status(read.error().fault == Fault::too_large ? 413 : read.error().side == Side::client ? 400 : 500);
  if (start.is_cut && !own.sends_part) co_return Verdict::status(413);
  is_cut = start.is_cut;
  plan.method = request.method;
  plan.method_text = request.method_text;
  plan.body_bytes = start.bytes.size();
  plan.body = request.arena().make<BytesBody>(std::move(start.bytes));
  co_return Verdict::next();
}

Task<Verdict> ask(Request& request) {
  const AuthRequestConf& own = conf<AuthRequestConf>(request);
  SubrequestPlan plan;
  bool body_is_cut = false;
  if (own.body_bytes > 0 && request.head.has_body()) {
    Verdict verdict = co_await add_body(request, own, plan, body_is_cut);
    if (!verdict.is_next()) co_return verdict;
  }
  plan.uri = own.target.uri;
  plan.args = own.target.args;
  plan.copies_fields = own.passed_fields.empty();
  plan.response_bytes_max = own.denial_bytes;
  Subrequest asked(request, plan);
  for (std::string_view name : own.passed_fields)
    for (const Headers::Field* field = request.head.headers.find(name); field; field = request.head.headers.next_same(*field))
      asked.request().head.headers.add(field->known, field->name, field->value);
  if (own.body_bytes > 0) asked.request().head.headers.remove("X-Auth-Partial-Body");  // it is not for the client to say
  if (body_is_cut) asked.request().head.headers.add("X-Auth-Partial-Body", "true");
  Task<Unit> running = asked.run();
  Deadline<Unit> bounded(request.loop(), std::move(running), request.loop().deadline(own.timeout));
  auto finished = co_await bounded;
  if (!finished) {
    request.logger.error("auth request timed out");
    co_return failed(request, own, "timeout");
  }
  for (const AssignedVariable& variable : own.assigned)
    request.set_variable(variable.index, request.arena().copy(variable.value.evaluate(asked.request())));
  co_return decide(request, own, asked);
}

constexpr std::array rows = {
    custom<set_target, AuthRequestConf, &AuthRequestConf::is_on, &AuthRequestConf::target>(
        "auth_request", in_http_any, words(1), "The URI of a subrequest whose status decides whether a request is let in.")
        .takes("uri | off"),
    custom<add_assigned, AuthRequestConf, &AuthRequestConf::assigned>(
        "auth_request_set", in_http_any, words(2), "Sets a variable after the subrequest, to what its own variables say.")
        .many()
        .takes("$variable value"),
    slot<AuthRequestConf, &AuthRequestConf::timeout>("auth_request_timeout", in_http_any,
                                                     "Time of the whole subrequest, 0: only the limits of its location."),
    custom<set_on_failure, AuthRequestConf, &AuthRequestConf::on_failure>(
        "auth_request_fail", in_http_any, words(1), "What a failed subrequest means: the request is let in, or gets 500 or another status.")
        .takes("open | close | code"),
    custom<add_passed, AuthRequestConf, &AuthRequestConf::passed_fields>("auth_request_pass_headers", in_http_any, words_from(1),
                                                                         "The only fields of the client that the subrequest has.")
        .many()
        .takes("field ..."),
    custom<add_copied, AuthRequestConf, &AuthRequestConf::to_upstream, &AuthRequestConf::to_client>(
        "auth_request_copy_headers", in_http_any, words_from(2),
        "Fields of the subrequest's response that the upstream gets in place of the client's own, or that the client gets.")
        .many()
        .takes("to_upstream | to_client field ..."),
    custom<set_body, AuthRequestConf, &AuthRequestConf::body_bytes, &AuthRequestConf::sends_part>(
        "auth_request_body", in_http_any, words(1, 2),
        "How much of the client's body the subrequest has, with its method; of a longer body its beginning, or that is 413.")
        .takes("size [partial]"),
    slot<AuthRequestConf, &AuthRequestConf::denial_bytes>("auth_request_pass_denial", in_http_any,
                                                          "The largest body of a denial that is passed on as it is, 0: none is."),
};

constexpr std::string_view after[] = {"access", "http_auth_basic", "http_auth_jwt"};  // what needs nobody else decides first
constexpr std::array phases = {PhaseEntry{.phase = Phase::access, .run = &ask, .applies = &is_on}};
constexpr Hooks hooks = {.phases = phases, .filters = {}, .forward = {}};

}  // namespace

extern constinit const Module http_auth_request_module = {
    .name = "http_auth_request", .conf = conf_of<AuthRequestConf>, .directives = rows, .after = after, .http = &hooks};

}  // namespace fairlead
