// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// referer: $invalid_referer, by the names and patterns of valid_referers. The table belongs to the block's Conf.
#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/base/format.h"
#include "core/base/host_table.h"
#include "core/base/regex.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/conf/value.h"
#include "http/conf/location.h"
#include "http/conf/server.h"
#include "http/request/audit.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

using namespace http;

struct Referers {
  HostTable<std::string_view> hosts;  // to the begin of the path; empty: any path
  std::vector<Regex> patterns;        // of what follows "http://"
  std::vector<const RegexRule*> server_patterns;  // of the host: server names that are regular expressions
  std::deque<std::string> server_names;           // the others, as keys of `hosts`
};

struct RefererConf {
  bool is_set = false;
  bool takes_none = false;      // no Referer at all
  bool takes_blocked = false;   // one without scheme: taken out by a firewall
  bool takes_server_names = false;
  std::shared_ptr<Referers> valid;
  uint64_t hash_max_size = 2048;
  uint64_t hash_bucket_size = 64;
};

std::string_view lower_copy(Arena& arena, std::string_view text) {
  char* to = static_cast<char*>(arena.allocate(text.size(), 1));
  lower_into(to, text);
  return {to, text.size()};
}

ConfResult<Unit> add_pattern(Referers& valid, std::string_view word) {
  if (word.size() == 1) return format("empty regex in \"{}\"", word);
  auto regex = Regex::compile(word.substr(1), RegexOptions{.caseless = true});
  if (!regex) return regex.error();
  valid.patterns.push_back(std::move(*regex));
  return Unit();
}

ConfResult<Unit> add_referers(Line& line, RefererConf& own) {
  own.is_set = true;
  if (!own.valid) own.valid = std::make_shared<Referers>();
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    if (word.empty()) return format("invalid referer \"{}\"", word);
    if (word == "none") {
      own.takes_none = true;
    } else if (word == "blocked") {
      own.takes_blocked = true;
    } else if (word == "server_names") {
      own.takes_server_names = true;
    } else if (word[0] == '~') {
      FL_TRY(add_pattern(*own.valid, word));
    } else {
      size_t slash = std::min(word.find('/'), word.size());
      FL_TRY(own.valid->hosts.add(lower_copy(line.arena(), word.substr(0, slash)), word.substr(slash)));
    }
  }
  return Unit();
}

// They may stand below the line, so this is for the end.
ConfResult<Unit> add_server_names(Block& block, Referers& valid) {
  for (const ServerName& name : location_of(block).server->names) {
    if (name.kind == ServerName::Kind::regex) {
      valid.server_patterns.push_back(name.regex.get());
      continue;
    }
    std::string& written = valid.server_names.emplace_back();
    if (name.kind == ServerName::Kind::suffix) written = name.also_exact ? "." : "*.";
    written.append(name.name).append(name.kind == ServerName::Kind::prefix ? ".*" : "");
    if (written.empty()) continue;
    auto added = valid.hosts.add(written, {});
    if (!added) return added.error() + at_place(block.place());
  }
  return Unit();
}

ConfResult<Unit> finish_referers(Block& block, RefererConf& own) {
  if (!block.is_set("valid_referers")) return Unit();
  if (own.takes_server_names) FL_TRY(add_server_names(block, *own.valid));
  if ((own.takes_none || own.takes_blocked) && !own.takes_server_names && own.valid->hosts.empty())
    return std::string("the \"none\" or \"blocked\" referers are specified in the \"valid_referers\" directive without any valid referer") +
           at_place(block.place());
  return Unit();
}

bool is_valid_host(std::string_view rest, const Referers& valid) {
  constexpr size_t host_max = 256;
  size_t end = std::min(rest.find_first_of("/:"), rest.size());
  if (end > host_max) return false;
  char text[host_max];
  lower_into(text, rest.substr(0, end));
  std::string_view host(text, end);
  if (const std::string_view* path = valid.hosts.find(host)) {
    std::string_view given = rest.substr(std::min(rest.find('/', end), rest.size()));
    return given.starts_with(*path);
  }
  return std::any_of(valid.server_patterns.begin(), valid.server_patterns.end(),
                     [&](const RegexRule* rule) { return rule->regex().matches(host); }) ||
         std::any_of(valid.patterns.begin(), valid.patterns.end(), [&](const Regex& regex) { return regex.matches(rest); });
}

bool is_valid(std::string_view referer, const RefererConf& own) {
  constexpr size_t least = std::string_view("http://i.ru").size();
  if (referer.size() >= least) {
    for (std::string_view scheme : {std::string_view("http://"), std::string_view("https://")})
      if (starts_with_nocase(referer, scheme)) return is_valid_host(referer.substr(scheme.size()), *own.valid);
  }
  return own.takes_blocked;
}

Value get_invalid_referer(Session& session, uintptr_t) {
  Request& request = as_request(session);
  const RefererConf& own = conf<RefererConf>(request);
  bool any_listed = own.is_set && (own.takes_server_names || !own.valid->hosts.empty() || !own.valid->patterns.empty());
  if (!any_listed) return Value{""};
  const Headers::Field* referer = request.head.headers.find(KnownHeader::referer);
  bool valid = referer ? is_valid(referer->value, own) : own.takes_none;
  audit(request, {"referer", valid ? Decided::allowed : Decided::denied, referer ? "referer" : "none", {}});
  return Value{valid ? "" : "1"};
}

constexpr uint32_t contexts = in_server | in_location;
constexpr Directive rows[] = {
    custom<add_referers, RefererConf, &RefererConf::is_set, &RefererConf::takes_none, &RefererConf::takes_blocked,
           &RefererConf::takes_server_names, &RefererConf::valid>("valid_referers", contexts, words_from(1),
        "Where requests may be linked from; others have \"1\" in $invalid_referer.")
        .many()
        .takes("none | blocked | server_names | string ..."),
    slot<RefererConf, &RefererConf::hash_max_size>("referer_hash_max_size", contexts, "Accepted; the table of names sizes itself."),
    slot<RefererConf, &RefererConf::hash_bucket_size>("referer_hash_bucket_size", contexts, "Accepted; the table of names sizes itself."),
};
constexpr VariableDef variables[] = {
    {.name = "invalid_referer", .get = get_invalid_referer, .flags = variable_changeable, .engines = http_variable},
};

}  // namespace

extern constinit const Module http_referer_module = {.name = "http_referer",
                                                     .conf = conf_of<RefererConf>,
                                                     .directives = rows,
                                                     .variables = variables,
                                                     .finish = finish_of<finish_referers, RefererConf>};

}  // namespace fairlead
