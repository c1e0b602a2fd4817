// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// map: a variable whose value is looked up by a text: exact (case does not matter), host names with wildcards, then regular expressions in
// their order, then the default. Tables lie in the arena of the generation.
#include <memory>
#include <string>
#include <vector>

#include "core/base/format.h"
#include "core/base/host_table.h"
#include "core/base/text.h"
#include "core/conf/module.h"
#include "core/conf/regex_rule.h"
#include "core/conf/session.h"
#include "core/conf/template.h"
#include "core/conf/value.h"

namespace fairlead {
namespace {

struct MapConf {
  uint64_t hash_max_size = 2048;
  uint64_t hash_bucket_size = 64;
};

class Map {
 public:
  explicit Map(Template source) : source_(std::move(source)) {}

  // One line of the block; `line` is the directive's.
  ConfResult<Unit> add(const Line& line, std::span<const std::string_view> words, Place place);
  Value value(Session& session) const;
  bool is_volatile() const { return volatile_; }

 private:
  const Template* find(Session& session, std::string_view text) const;

  struct Rule {
    std::unique_ptr<RegexRule> regex;
    Template value;
  };
  Template source_;
  Template default_{std::string_view("")};
  HostTable<Template> table_;
  std::vector<Rule> rules_;
  bool has_default_ = false, hostnames_ = false, volatile_ = false;
};

std::string_view lower_copy(Arena& arena, std::string_view text) {
  char* to = static_cast<char*>(arena.allocate(text.size(), 1));
  lower_into(to, text);
  return {to, text.size()};
}

ConfResult<Unit> Map::add(const Line& line, std::span<const std::string_view> words, Place place) {
  if (words.size() == 1 && words[0] == "hostnames") {
    hostnames_ = true;
    return Unit();
  }
  if (words.size() == 1 && words[0] == "volatile") {
    volatile_ = true;
    return Unit();
  }
  if (words.size() != 2) return std::string("invalid number of the map parameters");
  auto compiled = Template::compile(words[1], variables_of(line), place);
  if (!compiled) return compiled.error();
  std::string_view key = words[0];
  if (key == "default") {
    if (has_default_) return std::string("duplicate default map parameter");
    has_default_ = true;
    default_ = std::move(*compiled);
    return Unit();
  }
  if (!key.empty() && key[0] == '~') {
    bool caseless = key.size() > 1 && key[1] == '*';
    auto regex = RegexRule::compile(line, key.substr(caseless ? 2 : 1), caseless);
    if (!regex) return regex.error();
    rules_.push_back({std::move(*regex), std::move(*compiled)});
    return Unit();
  }
  if (!key.empty() && key[0] == '\\') key.remove_prefix(1);
  key = lower_copy(line.arena(), key);
  return hostnames_ ? table_.add(key, *compiled) : table_.add_exact(key, *compiled);
}

const Template* Map::find(Session& session, std::string_view text) const {
  std::string_view key = text;
  for (char byte : text) {
    if (byte < 'A' || byte > 'Z') continue;
    key = lower_copy(session.arena(), text);
    break;
  }
  if (const Template* found = table_.find(key)) return found;
  if (text.empty()) return &default_;  // nothing is tried against no text, as in nginx
  for (const Rule& rule : rules_) {
    Regex::Outcome outcome = rule.regex->match(session, text);
    if (outcome == Regex::Outcome::match) return &rule.value;
    if (outcome == Regex::Outcome::error) break;  // a later rule must not get what this one may be for
  }
  return &default_;
}

Value Map::value(Session& session) const {
  std::string_view text = source_.evaluate(session);
  if (hostnames_ && text.ends_with('.')) text.remove_suffix(1);
  return Value{find(session, text)->evaluate(session), true};
}

ConfResult<Unit> set_map(Line& line, MapConf&) {
  auto source = compile_word(line, 1);
  if (!source) return source.error();
  auto name = variable_name(line, 2);
  if (!name) return name.error();
  Map* map = line.arena().make<Map>(std::move(*source));
  FL_TRY(line.read_lines([&](std::span<const std::string_view> words, Place place) { return map->add(line, words, place); }));
  VariableDef def;
  def.name = *name;
  def.get = [](Session& session, uintptr_t datum) { return reinterpret_cast<const Map*>(datum)->value(session); };
  def.flags = static_cast<uint8_t>(variable_changeable | (map->is_volatile() ? variable_volatile : 0));
  def.datum = reinterpret_cast<uintptr_t>(map);
  auto defined = variables_of(line).define(def, line.place());
  if (!defined) return defined.error();
  return Unit();
}

constexpr uint32_t contexts = in_http | in_stream;
constexpr std::array directives = {
    custom<set_map, MapConf>("map", contexts, words(2),
                             "Makes a variable whose value is looked up by a text: exact keys, host names, regular expressions, a default.")
        .block()
        .many()
        .takes("text $variable"),
    slot<MapConf, &MapConf::hash_max_size>("map_hash_max_size", contexts, "Accepted for compatibility; tables size themselves."),
    slot<MapConf, &MapConf::hash_bucket_size>("map_hash_bucket_size", contexts, "Accepted for compatibility; tables size themselves."),
};

}  // namespace

extern constinit const Module map_module = {.name = "map", .conf = conf_of<MapConf>, .directives = directives};

}  // namespace fairlead
