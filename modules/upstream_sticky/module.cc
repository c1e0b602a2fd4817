// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// sticky: requests of one session go to the same peer: by a cookie of our own, by a route that the request names, or by what was learnt
// from the peers' answers.
#include <utility>
#include <vector>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/shm/zone_word.h"
#include "core/upstream/group.h"
#include "http/hooks.h"
#include "modules/upstream_sticky/cookie.h"
#include "modules/upstream_sticky/learn.h"

namespace fairlead {
namespace upstream_sticky {
namespace {

struct StickyConf {
  // In the main block.
  bool makes_cookies = false;
  std::vector<std::pair<const Zone*, std::string_view>> zones;  // and the group that uses it
};

const char zone_owner = 0;

StickyConf& main_conf(const Line& line) { return own_conf<StickyConf>(*line.block().enclosing(in_main)); }

class RouteBinder final : public PeerBinder {
 public:
  explicit RouteBinder(std::vector<Template> routes) : routes_(std::move(routes)) {}
  std::string_view bound_route(Session& session) const override { return first_text(routes_, session); }

 private:
  std::vector<Template> routes_;
};

// A word that has to be one variable.
ConfResult<Unit> add_variable(const Line& line, std::string_view text, std::vector<Template>& to) {
  auto made = compile_text(line, text);
  if (!made) return made.error();
  to.push_back(std::move(*made));
  return Unit();
}

// -- cookie

std::string duplicate(const Line& line, std::string_view parameter) {
  return line.directive_reason(format("parameter \"{}\" is duplicate", parameter));
}

ConfResult<Unit> set_text(const Line& line, std::string_view name, std::string_view value, Template& field) {
  if (field.is_set()) return duplicate(line, name);
  if (value.empty()) return line.directive_reason(format("no value for \"{}\"", name));
  auto made = compile_text(line, value);
  if (!made) return made.error();
  field = std::move(*made);
  return Unit();
}

ConfResult<Unit> set_flag(const Line& line, std::string_view name, bool& field) {
  if (std::exchange(field, true)) return duplicate(line, name);
  return Unit();
}

ConfResult<Unit> set_expires(const Line& line, std::string_view value, CookieAttributes& attributes) {
  if (attributes.expires_s) return duplicate(line, "expires");
  auto ms = parse_time_ms(value, TimeGrain::seconds);
  if (value != "max" && !ms) return line.directive_reason("invalid \"expires\" parameter value");
  attributes.expires_s = value == "max" ? CookieAttributes::expires_max : static_cast<int64_t>(*ms / 1000);
  return Unit();
}

ConfResult<Unit> set_samesite(const Line& line, std::string_view value, CookieAttributes& attributes) {
  FL_TRY(set_text(line, "samesite", value, attributes.samesite));
  if (!attributes.samesite.is_literal() || is_samesite(value)) return Unit();
  return line.directive_reason("invalid \"samesite\" parameter value");
}

ConfResult<Unit> set_attribute(const Line& line, size_t index, CookieAttributes& attributes) {
  std::string_view word = line.word(index);
  if (word == "httponly") return set_flag(line, word, attributes.httponly);
  if (word == "secure") return set_flag(line, word, attributes.secure);
  size_t equals = word.find('=');
  std::string_view name = word.substr(0, equals), value = equals == word.npos ? std::string_view() : word.substr(equals + 1);
  if (equals != word.npos && name == "expires") return set_expires(line, value, attributes);
  if (equals != word.npos && name == "domain") return set_text(line, name, value, attributes.domain);
  if (equals != word.npos && name == "samesite") return set_samesite(line, value, attributes);
  if (equals == word.npos || name != "path") return format("unknown parameter \"{}\"", word);
  if (!attributes.path.empty()) return duplicate(line, name);
  if (value.empty()) return line.directive_reason("no value for \"path\"");
  attributes.path = value;
  return Unit();
}

ConfResult<const PeerBinder*> make_cookie(Line& line) {
  std::string_view name = line.word(2);
  if (name.empty()) return line.directive_reason("empty cookie name");
  CookieAttributes attributes;
  for (size_t i = 3; i <= line.word_count(); ++i) FL_TRY(set_attribute(line, i, attributes));
  main_conf(line).makes_cookies = true;
  return line.arena().make<CookieBinder>(name, std::move(attributes));
}

// -- route

ConfResult<const PeerBinder*> make_route(Line& line) {
  std::vector<Template> routes;
  for (size_t i = 2; i <= line.word_count(); ++i) {
    if (!line.word(i).starts_with('$')) return format("invalid variable name \"{}\"", line.word(i));
    FL_TRY(add_variable(line, line.word(i), routes));
  }
  return line.arena().make<RouteBinder>(std::move(routes));
}

// -- learn

ConfResult<Unit> set_zone(Line& line, std::string_view text, LearnBinder::Settings& settings) {
  if (settings.zone) return line.directive_reason("duplicate zone");
  if (text.find(':') == text.npos) return line.directive_reason("zone size is not specified");
  if (text.starts_with(':')) return line.directive_reason("zone name is not specified");
  auto word = parse_zone_word(text);
  if (!word) return word.error();
  auto zone = line.generation().zones.declare(word->name, word->bytes, &zone_owner);
  if (!zone) return zone.error();
  for (auto& [used, group] : main_conf(line).zones)
    if (used == *zone) return format("sticky zone \"{}\" is already used in upstream \"{}\"", word->name, group);
  settings.zone = *zone;
  main_conf(line).zones.emplace_back(*zone, group_of(line).name);
  return Unit();
}

ConfResult<Unit> add_id(const Line& line, std::string_view name, std::string_view value, std::vector<Template>& to) {
  if (!value.starts_with('$')) return line.directive_reason(format("missing variable in the \"{}\" parameter", name));
  return add_variable(line, value, to);
}

ConfResult<Unit> set_learning(Line& line, size_t index, LearnBinder::Settings& settings, bool& timed) {
  std::string_view word = line.word(index);
  if (word.starts_with("zone=")) return set_zone(line, word.substr(5), settings);
  if (word.starts_with("create=")) return add_id(line, "create", word.substr(7), settings.create);
  if (word.starts_with("lookup=")) return add_id(line, "lookup", word.substr(7), settings.lookup);
  if (word == "header") {
    settings.at_header = true;
    return Unit();
  }
  if (!word.starts_with("timeout=")) return format("unknown parameter \"{}\"", word);
  if (std::exchange(timed, true)) return line.directive_reason("duplicate timeout");
  auto ms = parse_time_ms(word.substr(8), TimeGrain::milliseconds);
  if (!ms || *ms == 0) return line.directive_reason("invalid timeout");
  settings.timeout_ms = *ms;
  return Unit();
}

ConfResult<const PeerBinder*> make_learn(Line& line) {
  LearnBinder::Settings settings;
  bool timed = false;
  for (size_t i = 2; i <= line.word_count(); ++i) FL_TRY(set_learning(line, i, settings, timed));
  if (settings.lookup.empty()) return line.directive_reason("\"lookup\" parameter is not specified");
  if (settings.create.empty()) return line.directive_reason("\"create\" parameter is not specified");
  if (!settings.zone) return line.directive_reason("\"zone\" parameter is not specified");
  return line.arena().make<LearnBinder>(std::move(settings));
}

ConfResult<const PeerBinder*> make_binder(Line& line) {
  if (line.word(1) == "cookie") return make_cookie(line);
  if (line.word(1) == "route") return make_route(line);
  if (line.word(1) == "learn") return make_learn(line);
  return format("unknown parameter \"{}\"", line.word(1));
}

ConfResult<Unit> set_sticky(Line& line, StickyConf&) {
  auto binder = make_binder(line);
  if (!binder) return binder.error();
  group_of(line).binder = *binder;
  return Unit();
}

bool may_make_cookies(const Block& block) {
  const Block* outermost = &block;
  while (outermost->parent()) outermost = outermost->parent();
  return conf<StickyConf>(*outermost).makes_cookies;
}

constexpr Directive rows[] = {
    custom<set_sticky, StickyConf>("sticky", in_upstream, words_from(2),
                                   "Send the requests of a session to the same peer: by a cookie (made anew only if the peer is another "
                                   "one, or if it expires), by a variable that names the peer's route, or by session ids "
                                   "learnt from replies.")
        .takes("cookie name [expires=time] [domain=domain] [httponly] [samesite=strict|lax|none|$variable] [secure] [path=path] | "
               "route $variable ... | "
               "learn create=$variable lookup=$variable zone=name:size [timeout=time] [header]"),
};
constexpr http::ResponseFilter filters[] = {{.stage = http::Stage::headers, .apply = add_cookies, .applies = may_make_cookies}};
constexpr http::Hooks http_hooks = {.filters = filters};

}  // namespace
}  // namespace upstream_sticky

extern constinit const Module upstream_sticky_module = {
    .name = "upstream_sticky",
    .conf = conf_of<upstream_sticky::StickyConf>,
    .directives = upstream_sticky::rows,
    .http = &upstream_sticky::http_hooks,
};

}  // namespace fairlead
