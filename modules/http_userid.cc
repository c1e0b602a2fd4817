// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// userid: a cookie that tells clients apart, in the form of Apache's mod_uid: four numbers of 32 bits in base64. Counters belong to the
// worker process; what a request got and was given, to its slot.
#include <arpa/inet.h>
#include <unistd.h>

#include <cstring>

#include "core/base/clock.h"
#include "core/base/encoding.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/session_vars.h"
#include "core/conf/value.h"
#include "http/conf/variables.h"
#include "http/hooks.h"
#include "http/request/request.h"

namespace fairlead {

namespace http_userid {
enum class Mode : uint8_t { off, log, v1, on };
enum class Flag : uint32_t { off = 0, secure = 1, httponly = 2, samesite_strict = 4, samesite_lax = 8, samesite_none = 16 };
}  // namespace http_userid
template <>
struct EnumWords<http_userid::Mode> {
  using M = http_userid::Mode;
  static constexpr EnumWord<M> all[] = {{"off", M::off}, {"log", M::log}, {"v1", M::v1}, {"on", M::on}};
};
template <>
struct EnumWords<http_userid::Flag> {
  using F = http_userid::Flag;
  static constexpr EnumWord<F> all[] = {{"off", F::off},
                                        {"secure", F::secure},
                                        {"httponly", F::httponly},
                                        {"samesite=strict", F::samesite_strict},
                                        {"samesite=lax", F::samesite_lax},
                                        {"samesite=none", F::samesite_none}};
};

namespace {

using namespace http;
using http_userid::Flag;
using http_userid::Mode;

constexpr int64_t expires_max = INT64_MAX;

struct UseridConf {
  Mode mode = Mode::off;
  int64_t service = -1;  // -1: the address of the server (v1: 0)
  std::string_view name = "uid";
  std::string_view domain;
  std::string_view path = "/";
  std::string_view p3p;
  int64_t expires_s = 0;  // 0: with the browser's session
  char mark = '\0';
  Flags<Flag> flags;
};

struct Uid {
  uint32_t parts[4] = {};
  bool is_set() const { return parts[3] != 0; }
};

struct UserState {
  bool is_read = false;
  Uid got, given;
  std::string_view cookie;  // as it came
};

constexpr size_t encoded_bytes = 22;  // of 16 bytes in base64, without the padding

void read_cookie(Request& request, const UseridConf& own, UserState& state) {
  if (std::exchange(state.is_read, true)) return;
  Value cookie = find_cookie(request.head.headers, own.name);
  if (!cookie.found) return;
  state.cookie = cookie.text;
  if (cookie.text.size() < encoded_bytes) {
    request.logger.error("client sent too short userid cookie \"{}\"", cookie.text);
    return;
  }
  auto bytes = base64_decode(cookie.text.substr(0, encoded_bytes));
  if (!bytes || bytes->size() != sizeof state.got.parts) {
    request.logger.error("client sent invalid userid cookie \"{}\"", cookie.text);
    return;
  }
  std::memcpy(state.got.parts, bytes->data(), sizeof state.got.parts);
}

std::string_view uid_text(Request& request, std::string_view name, const Uid& uid) {
  const uint32_t* p = uid.parts;
  return request.arena().copy(format("{}={:08X}{:08X}{:08X}{:08X}", name, p[0], p[1], p[2], p[3]));
}

// $uid_reset: anything but "" and "0" gives the client a new identity.
bool wants_reset(Request& request, const UseridConf& own, const UserState& state) {
  auto index = request.variables().find("uid_reset");
  if (!index) return false;
  Value reset = request.variable(*index);
  if (!reset.found || reset.text.empty() || reset.text == "0") return false;
  if (reset.text == "log")
    request.logger.notice("userid cookie \"{}\" was reset", uid_text(request, own.name, state.got));
  return true;
}

uint32_t address_of_server(Request& request) {
  std::string_view bytes = local_address(request).bytes();
  uint32_t address = 0;
  if (local_address(request).is_ip()) std::memcpy(&address, bytes.data() + bytes.size() - sizeof address, sizeof address);
  return address;
}

// The second and third number tell workers apart, the fourth the requests of one.
Uid make_uid(Request& request, const UseridConf& own) {
  constexpr uint32_t first_v2 = 0x03030302;
  static const uint32_t start = static_cast<uint32_t>(clock().wall_ms() % 1000 * 50) << 16 | (static_cast<uint32_t>(getpid()) & 0xffff);
  static uint32_t next_v1 = 1, next_v2 = first_v2;
  uint32_t now = static_cast<uint32_t>(clock().seconds());
  if (own.mode == Mode::v1) {
    Uid uid{{own.service < 0 ? 0 : static_cast<uint32_t>(own.service), now, start, next_v1}};
    next_v1 += 0x100;
    return uid;
  }
  uint32_t service = own.service < 0 ? address_of_server(request) : htonl(static_cast<uint32_t>(own.service));
  Uid uid{{service, htonl(now), htonl(start), htonl(next_v2)}};
  next_v2 += 0x100;
  if (next_v2 < first_v2) next_v2 = first_v2;
  return uid;
}

// "; expires=" with the short year that old browsers want, as long as it has one.
std::string expires_text(int64_t expires_s) {
  constexpr int64_t last_short_year = 2145916555;  // 31 Dec 2037 23:55:55
  int64_t when = expires_s == expires_max ? last_short_year : clock().seconds() + expires_s;
  char date[http_date_size];
  format_http_date(when, date);
  std::string_view text(date, http_date_size);
  std::string_view year = text.substr(12, 4);
  return format("; expires={}, {}-{}-{} {} GMT", text.substr(0, 3), text.substr(5, 2), text.substr(8, 3),
                year > "2037" ? year : year.substr(2), text.substr(17, 8));
}

void append_attributes(std::string& cookie, const UseridConf& own) {
  if (own.expires_s != 0) cookie += expires_text(own.expires_s);
  if (!own.domain.empty()) cookie.append("; domain=").append(own.domain);
  if (!own.path.empty()) cookie.append("; path=").append(own.path);
  if (own.flags.has(Flag::secure)) cookie += "; secure";
  if (own.flags.has(Flag::httponly)) cookie += "; httponly";
  if (own.flags.has(Flag::samesite_strict)) cookie += "; samesite=strict";
  if (own.flags.has(Flag::samesite_lax)) cookie += "; samesite=lax";
  if (own.flags.has(Flag::samesite_none)) cookie += "; samesite=none";
}

void give_cookie(Request& request) {
  const UseridConf& own = conf<UseridConf>(request);
  UserState& state = request.slot<UserState>();
  read_cookie(request, own, state);
  bool reset = state.got.is_set() && wants_reset(request, own, state);
  bool is_marked = own.mark == '\0' || (state.cookie.size() > encoded_bytes + 1 && state.cookie[encoded_bytes] == own.mark &&
                                        state.cookie[encoded_bytes + 1] == '=');
  if (state.got.is_set() && is_marked && !reset) return;
  bool renewed = state.got.is_set() && !reset;
  state.given = renewed ? state.got : make_uid(request, own);
  std::string cookie(own.name);
  cookie += '=';
  if (renewed) cookie.append(state.cookie.substr(0, encoded_bytes)).append(1, own.mark).append("=");
  else cookie += base64({reinterpret_cast<const char*>(state.given.parts), sizeof state.given.parts});
  if (!renewed && own.mark) cookie[cookie.size() - 2] = own.mark;
  append_attributes(cookie, own);
  Headers& headers = request.response.head.headers;
  headers.add(KnownHeader::set_cookie, request.arena().copy(cookie));
  if (!own.p3p.empty()) headers.add("P3P", own.p3p);
}

Value get_uid_got(Session& session, uintptr_t) {
  Request& request = as_request(session);
  const UseridConf& own = conf<UseridConf>(request);
  if (own.mode == Mode::off) return Value::missing();
  UserState& state = request.slot<UserState>();
  read_cookie(request, own, state);
  return state.got.is_set() ? Value{uid_text(request, own.name, state.got)} : Value::missing();
}
Value get_uid_set(Session& session, uintptr_t) {
  Request& request = as_request(session);
  const UserState* state = request.find_slot<UserState>();
  if (!state || !state->given.is_set()) return Value::missing();
  return Value{uid_text(request, conf<UseridConf>(request).name, state->given)};
}
Value get_uid_reset(Session&, uintptr_t) { return Value{""}; }

// -- directives --

ConfResult<Unit> set_service(Line& line, UseridConf& own) {
  auto number = parse_decimal(line.word(1));
  if (!number || *number > UINT32_MAX) return line.directive_reason("invalid number");
  own.service = static_cast<int64_t>(*number);
  return Unit();
}

// What goes into a field as it is written; `none` is nothing, but may be a path.
template <std::string_view UseridConf::*Field>
ConfResult<Unit> set_part(Line& line, UseridConf& own) {
  if (!is_field_value(line.word(1))) return line.invalid_value(1);
  own.*Field = Field != &UseridConf::path && line.word(1) == "none" ? std::string_view() : line.word(1);
  return Unit();
}

ConfResult<Unit> set_name(Line& line, UseridConf& own) {
  if (!is_token(line.word(1))) return line.invalid_value(1);
  own.name = line.word(1);
  return Unit();
}

ConfResult<Unit> set_expires(Line& line, UseridConf& own) {
  own.expires_s = 0;
  if (line.word(1) == "off") return Unit();
  if (line.word(1) == "max") {
    own.expires_s = expires_max;
    return Unit();
  }
  auto ms = parse_time_ms(line.word(1), TimeGrain::seconds);
  if (!ms) return line.directive_reason("invalid value");
  own.expires_s = static_cast<int64_t>(*ms / 1000);
  return Unit();
}

ConfResult<Unit> set_mark(Line& line, UseridConf& own) {
  std::string_view word = line.word(1);
  own.mark = '\0';
  if (word == "off") return Unit();
  char letter = word.size() == 1 ? word[0] : '\0';
  if (!(is_digit(letter) || (lower(letter) >= 'a' && lower(letter) <= 'z') || letter == '='))
    return line.directive_reason("value must be \"off\" or a single letter, digit or \"=\"");
  own.mark = letter;
  return Unit();
}

constexpr uint32_t any = in_http_any;
constexpr Directive rows[] = {
    slot<UseridConf, &UseridConf::mode>("userid", any, "Tell clients apart by a cookie: give it, only log it, or neither.")
        .takes("on | v1 | log | off"),
    custom<set_service, UseridConf, &UseridConf::service>("userid_service", any, words(1),
        "The first of the cookie's numbers: which server gave it.").takes("number | address"),
    custom<set_name, UseridConf, &UseridConf::name>("userid_name", any, words(1), "The name of the cookie.").takes("name").usual("uid"),
    custom<set_part<&UseridConf::domain>, UseridConf, &UseridConf::domain>("userid_domain", any, words(1), "The domain the cookie is for.")
        .takes("name | none").usual("none"),
    custom<set_part<&UseridConf::path>, UseridConf, &UseridConf::path>("userid_path", any, words(1), "The path the cookie is for.")
        .takes("path").usual("/"),
    custom<set_expires, UseridConf, &UseridConf::expires_s>("userid_expires", any, words(1), "How long the browser keeps it.")
        .takes("time | max | off").usual("off"),
    custom<set_part<&UseridConf::p3p>, UseridConf, &UseridConf::p3p>("userid_p3p", any, words(1), "The P3P field that goes with it.")
        .takes("string | none").usual("none"),
    custom<set_mark, UseridConf, &UseridConf::mark>("userid_mark", any, words(1),
        "A letter in the cookie; who has one without it is given it anew, with the same identity.").takes("letter | digit | = | off")
        .usual("off"),
    slot<UseridConf, &UseridConf::flags>("userid_flags", any, "Attributes of the cookie.")
        .takes("off | secure | httponly | samesite=strict | samesite=lax | samesite=none ..."),
};
constexpr VariableDef variables[] = {
    {.name = "uid_got", .get = get_uid_got, .flags = variable_volatile, .engines = http_variable},
    {.name = "uid_set", .get = get_uid_set, .flags = variable_volatile, .engines = http_variable},
    {.name = "uid_reset", .get = get_uid_reset, .flags = variable_changeable, .engines = http_variable},
};

bool gives_cookies(const Block& block) { return conf<UseridConf>(block).mode > Mode::log; }
constexpr ResponseFilter filters[] = {{.stage = Stage::headers, .apply = give_cookie, .applies = gives_cookies}};
constexpr Hooks hooks = {.filters = filters};
constexpr std::string_view after[] = {"http_headers"};

}  // namespace

extern constinit const Module http_userid_module = {
    .name = "http_userid", .conf = conf_of<UseridConf>, .directives = rows, .variables = variables, .after = after, .http = &hooks};

}  // namespace fairlead
