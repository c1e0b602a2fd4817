// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// split_clients: a variable that takes one of several values for fixed shares of the hash space of a text. The shares are nginx's to the
// last bit, so that a client keeps its side when servers are exchanged. Tables lie in the arena of the generation.
#include <algorithm>
#include <vector>

#include "core/base/format.h"
#include "core/base/hash.h"
#include "core/base/percent.h"
#include "core/base/text.h"
#include "core/conf/module.h"
#include "core/conf/session.h"
#include "core/conf/template.h"

namespace fairlead {
namespace {


struct SplitConf {};

struct Split {
  struct Part {
    uint32_t below;  // hashes less than this, and not less than that of the part before
    bool is_rest;    // `*`: all there are
    std::string_view value;
  };
  Template key;
  std::vector<Part> parts;
};

Value split_value(Session& session, uintptr_t datum) {
  const Split& split = *reinterpret_cast<const Split*>(datum);
  uint32_t hash = murmur2(split.key.evaluate(session));
  for (const Split::Part& part : split.parts)
    if (part.is_rest || hash < part.below) return Value{part.value, true};
  return Value{{}, true};
}

ConfResult<Unit> set_split(Line& line, SplitConf&) {
  auto key = compile_word(line, 1);
  if (!key) return key.error();
  auto name = variable_name(line, 2);
  if (!name) return name.error();
  Split* split = line.arena().make<Split>();
  split->key = std::move(*key);
  VariableDef def;
  def.name = *name;
  def.get = &split_value;
  def.flags = variable_changeable;
  def.datum = reinterpret_cast<uintptr_t>(split);
  auto defined = variables_of(line).define(def, line.place());
  if (!defined) return defined.error();

  uint64_t total = 0, below = 0;
  return line.read_lines([&](std::span<const std::string_view> words, Place) -> ConfResult<Unit> {
    if (words.size() != 2) return std::string("invalid number of the split_clients parameters");
    if (words[0] == "*") {
      total = whole_percent;
      split->parts.push_back({0, true, words[1]});
      return Unit();
    }
    auto percent = parse_percent(words[0]);
    if (!percent) return format("invalid percent value \"{}\"", words[0]);
    total += *percent;
    if (total > whole_percent) return std::string("percent total is greater than 100%");
    below += uint64_t{*percent} * 0xffffffff / whole_percent;  // rounded down part by part, as nginx does
    split->parts.push_back({static_cast<uint32_t>(below), false, words[1]});
    return Unit();
  });
}

constexpr std::array directives = {
    custom<set_split, SplitConf>(
        "split_clients", in_http | in_stream, words(2),
        "Makes a variable whose value depends on the hash of a text: each line gives a share of all hashes and a value.")
        .block()
        .many()
        .takes("text $variable"),
};

}  // namespace

extern constinit const Module split_clients_module = {.name = "split_clients", .conf = conf_of<SplitConf>, .directives = directives};

}  // namespace fairlead
