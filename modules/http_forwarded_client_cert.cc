// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_forwarded_client_cert: the X-Forwarded-Client-Cert field that tells the application who its client is (Envoy's format). What a
// client claims of itself goes on only as far as the configuration says.
#include <array>

#include "core/base/escape.h"
#include "core/base/text.h"
#include "core/conf/module.h"
#include "core/conf/value.h"
#include "http/conf/variables.h"
#include "http/hooks.h"
#include "http/message/uri.h"
#include "http/request/client_identity.h"
#include "http/request/field_variables.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

using namespace http;

enum class Mode : uint8_t { by_default, off, sanitize, forward, append, sanitize_set };
enum Detail : uint8_t { detail_subject = 1, detail_uri = 2, detail_dns = 4, detail_cert = 8, detail_chain = 16 };

struct ForwardedCertConf {
  Mode mode = Mode::by_default;
  uint8_t details = detail_subject | detail_uri | detail_dns;
};

template <class Value>
struct Word {
  std::string_view word;
  Value value;
};
constexpr std::array modes = {Word<Mode>{"off", Mode::off}, Word<Mode>{"sanitize", Mode::sanitize}, Word<Mode>{"forward", Mode::forward},
                              Word<Mode>{"append", Mode::append}, Word<Mode>{"sanitize_set", Mode::sanitize_set}};
constexpr std::array details = {Word<uint8_t>{"subject", detail_subject}, Word<uint8_t>{"uri", detail_uri},
                                Word<uint8_t>{"dns", detail_dns},         Word<uint8_t>{"cert", detail_cert},
                                Word<uint8_t>{"chain", detail_chain}};

template <class Words, class Value>
bool find_word(const Words& words, std::string_view text, Value& value) {
  for (const auto& one : words) {
    if (one.word != text) continue;
    value = one.value;
    return true;
  }
  return false;
}

ConfResult<Unit> set_mode(Line& line, ForwardedCertConf& own) {
  if (!find_word(modes, line.word(1), own.mode)) return line.invalid_value(1);
  bool makes_one = own.mode == Mode::append || own.mode == Mode::sanitize_set;
  if (line.word_count() > 1 && !makes_one) return line.invalid_parameter(2);
  if (line.word_count() > 1) own.details = 0;
  for (size_t i = 2; i < line.words().size(); ++i) {
    uint8_t detail = 0;
    if (!find_word(details, line.word(i), detail)) return line.invalid_parameter(i);
    own.details |= detail;
  }
  return Unit();
}

constexpr std::string_view field_name = "X-Forwarded-Client-Cert";

void append_part(std::string& to, std::string_view key, std::string_view value, bool quoted) {
  if (value.empty()) return;
  if (!to.empty()) to += ';';
  to.append(key).append("=");
  quoted = quoted || value.find_first_of(",;=\"") != std::string_view::npos;
  if (quoted) to += '"';
  for (char byte : value) {
    if (quoted && (byte == '"' || byte == '\\')) to += '\\';
    to += byte;
  }
  if (quoted) to += '"';
}

std::string element_of(const PeerIdentity& identity, uint8_t wanted, Arena& arena) {
  std::string text;
  append_part(text, "By", identity.own_uri, false);
  append_part(text, "Hash", identity.sha256, false);
  if (wanted & detail_cert) append_part(text, "Cert", escaped(Escape::uri_component, identity.pem, arena), true);
  if (wanted & detail_chain) append_part(text, "Chain", escaped(Escape::uri_component, identity.chain_pem, arena), true);
  if (wanted & detail_subject) append_part(text, "Subject", identity.subject, true);
  for (const std::string& uri : identity.uris)
    if (wanted & detail_uri) append_part(text, "URI", uri, false);
  for (const std::string& name : identity.dns_names)
    if (wanted & detail_dns) append_part(text, "DNS", name, false);
  return text;
}

// An internal redirect comes by again, and its location may want otherwise: each makes the field anew of what the client sent.
struct Field {
  bool is_known = false;
  std::string_view sent;  // by the client, or set since by a script
  std::string_view made;  // what we left there
};

std::string made_of(Request& request, const ForwardedCertConf& own, std::string_view sent) {
  if (own.mode == Mode::off) return std::string(sent);
  const PeerIdentity& identity = client_identity(request.facts);
  if (!identity.is_verified) return {};
  std::string value(own.mode == Mode::forward || own.mode == Mode::append ? sent : std::string_view());
  if (own.mode == Mode::append || own.mode == Mode::sanitize_set) {
    if (!value.empty()) value += ',';
    value += element_of(identity, own.details, request.arena());
  }
  return is_field_value(value) ? value : std::string();
}

// What the client sent is known to the request that a subrequest is made by.
Field& field_of(Request& request) {
  Field& field = request.slot<Field>();
  for (Session* above = request.parent; above && !field.is_known; above = above->parent)
    if (const auto* known = above->find_slot<Field>()) field = *known;
  return field;
}

// An upstream may read it for the field itself.
bool is_misspelt(const Headers::Field& field) { return is_same_variable(field.name, field_name) && !equal_nocase(field.name, field_name); }

Verdict make_field(Request& request) {
  bool is_copy = request.is_subrequest && !request.parent;  // of a request that it does not know: what that one added is in it
  if (is_copy && conf<ForwardedCertConf>(request).mode == Mode::append) return Verdict::next();
  Headers& headers = request.head.headers;
  if (conf<ForwardedCertConf>(request).mode != Mode::off && headers.remove_if(is_misspelt) > 0) forget_field(request, field_name);
  Field& field = field_of(request);
  std::string_view now = headers.joined(field_name);
  if (!field.is_known || now != field.made) field.sent = now;
  field.is_known = true;
  std::string value = made_of(request, conf<ForwardedCertConf>(request), field.sent);
  field.made = now;
  if (value == now) return Verdict::next();
  headers.remove(field_name);
  field.made = request.arena().copy(value);
  if (!field.made.empty()) headers.add(field_name, field.made);
  forget_field(request, field_name);
  return Verdict::next();
}

// Where clients are asked for certificates the field says who they are, so what they say themselves is removed unless the configuration
// decides. Elsewhere it may be the word of whoever ended TLS before us: as with nginx it passes.
bool is_wanted(const Block& block) {
  for (const Block* outer = &block; outer; outer = outer->parent())
    if (outer->is_set("forwarded_client_cert") || outer->is_set("ssl_verify_client")) return true;
  return false;
}

constexpr std::array rows = {
    custom<set_mode, ForwardedCertConf, &ForwardedCertConf::mode, &ForwardedCertConf::details>(
        "forwarded_client_cert", in_http_any, words_from(1),
        "What becomes of X-Forwarded-Client-Cert: untouched, removed, or, if the client's certificate was verified, kept, added to or set; "
        "removed by default where ssl_verify_client is set.")
        .takes("off | sanitize | forward | append [part ...] | sanitize_set [part ...]"),
};

constexpr std::string_view after[] = {"realip"};
// By the server's mode before anything is decided by the field, and by the location's.
constexpr std::array phases = {PhaseEntry{.phase = Phase::post_read, .check = &make_field, .applies = &is_wanted},
                               PhaseEntry{.phase = Phase::preaccess, .check = &make_field, .applies = &is_wanted}};
constexpr Hooks hooks = {.phases = phases, .filters = {}, .forward = {}};

}  // namespace

extern constinit const Module http_forwarded_client_cert_module = {
    .name = "http_forwarded_client_cert", .conf = conf_of<ForwardedCertConf>, .directives = rows, .after = after, .http = &hooks};

}  // namespace fairlead
