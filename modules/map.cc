// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// map: a variable whose value is looked up by a text: exact (case does not matter), host names with wildcards, then regular expressions in
// their order, then the default. Tables lie in the arena of the generation.
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/format.h"
#include "core/base/hash.h"
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

struct TextHash {
  size_t operator()(std::string_view text) const { return hash_bytes(text); }
};
// Keys are in lower case.
using Table = std::unordered_map<std::string_view, Template, TextHash>;

class Map {
 public:
  explicit Map(Template source) : source_(std::move(source)) {}

  // One line of the block; `line` is the directive's.
  ConfResult<Unit> add(const Line& line, std::span<const std::string_view> words, Place place);
  Value value(Session& session) const;
  bool is_volatile() const { return volatile_; }

 private:
  ConfResult<Unit> add_host(std::string_view key, const Template& value);
  const Template* find_host(std::string_view key) const;
  const Template* find(Session& session, std::string_view text) const;

  struct Rule {
    std::unique_ptr<RegexRule> regex;
    Template value;
  };
  Template source_;
  Template default_{std::string_view("")};
  Table exact_;
  Table fronts_;  // "*.example.com" as "example.com"
  Table tails_;   // "www.*" as "www"
  std::vector<Rule> rules_;
  bool has_default_ = false, hostnames_ = false, volatile_ = false;
};

std::string_view lower_copy(Arena& arena, std::string_view text) {
  char* to = static_cast<char*>(arena.allocate(text.size(), 1));
  lower_into(to, text);
  return {to, text.size()};
}

ConfResult<Unit> insert(Table& table, std::string_view key, const Template& value, std::string_view written) {
  if (table.emplace(key, value).second) return Unit();
  return format("conflicting parameter \"{}\"", written);
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
  return hostnames_ ? add_host(key, *compiled) : insert(exact_, key, *compiled, key);
}

// "example.com", "*.example.com", "example.*", and ".example.com" for the first two at once.
ConfResult<Unit> Map::add_host(std::string_view key, const Template& value) {
  size_t star = key.find('*');
  bool front = key.size() > 2 && key.starts_with("*.");
  bool tail = key.size() > 2 && key.ends_with(".*");
  bool plain = star == std::string_view::npos;
  bool one_star = plain || key.find('*', star + 1) == std::string_view::npos;
  if (key.find("..") != std::string_view::npos || key.find('\0') != std::string_view::npos || !one_star || !(plain || front || tail))
    return format("invalid hostname or wildcard \"{}\"", key);
  if (front) return insert(fronts_, key.substr(2), value, key);
  if (tail) return insert(tails_, key.substr(0, key.size() - 2), value, key);
  if (key.size() > 1 && key[0] == '.') {
    FL_TRY(insert(exact_, key.substr(1), value, key));
    return insert(fronts_, key.substr(1), value, key);
  }
  return insert(exact_, key, value, key);
}

// The longest wildcard at the front, else the longest at the end.
const Template* Map::find_host(std::string_view key) const {
  for (size_t dot = key.find('.'); dot != std::string_view::npos && !fronts_.empty(); dot = key.find('.', dot + 1))
    if (auto found = fronts_.find(key.substr(dot + 1)); found != fronts_.end()) return &found->second;
  for (size_t dot = key.rfind('.'); dot != std::string_view::npos && dot > 0 && !tails_.empty(); dot = key.rfind('.', dot - 1))
    if (auto found = tails_.find(key.substr(0, dot)); found != tails_.end()) return &found->second;
  return nullptr;
}

const Template* Map::find(Session& session, std::string_view text) const {
  std::string_view key = text;
  for (char byte : text) {
    if (byte < 'A' || byte > 'Z') continue;
    key = lower_copy(session.arena(), text);
    break;
  }
  if (auto found = exact_.find(key); found != exact_.end()) return &found->second;
  if (const Template* host = find_host(key)) return host;
  for (const Rule& rule : rules_)
    if (rule.regex->match(session, text)) return &rule.value;
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
