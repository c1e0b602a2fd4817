// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_rewrite/statements.h"

#include "core/base/format.h"
#include "core/conf/block.h"
#include "http/conf/http_block.h"
#include "http/request/script.h"
#include "modules/http_rewrite/condition.h"
#include "modules/http_rewrite/quoting.h"
#include "modules/http_rewrite/rewrite_conf.h"

namespace fairlead {
namespace {

using http::Location;
using http::Request;
using http::ScriptStep;
using http::Verdict;

class Break final : public http::ScriptStatement {
 public:
  ScriptStep run(Request& request, Verdict&) const override {
    if (request.wants_location) request.left_location = true;
    request.wants_location = false;
    return ScriptStep::stop;
  }
};

class Set final : public http::ScriptStatement {
 public:
  Set(uint32_t variable, Template value) : variable_(variable), value_(std::move(value)) {}
  ScriptStep run(Request& request, Verdict&) const override {
    request.set_variable(variable_, evaluate_in_script(request, value_));
    return ScriptStep::next;
  }

 private:
  uint32_t variable_;
  Template value_;
};

class If final : public http::ScriptStatement {
 public:
  If(Condition condition, Location& inner, bool moves) : condition_(std::move(condition)), inner_(inner), moves_(moves) {}
  ScriptStep run(Request& request, Verdict& verdict) const override {
    std::optional<bool> held = condition_.holds(request);
    if (!held) {
      verdict = Verdict::status(500);
      return ScriptStep::finished;
    }
    if (!*held) return ScriptStep::next;
    if (moves_) request.enter(inner_);
    return run_statements(inner_, request, verdict);
  }

 private:
  Condition condition_;
  Location& inner_;
  bool moves_;  // at the server level the request stays where it is: its location is found later
};

// What a variable is worth that `set` names but did not reach.
Value uninitialised(Session& session, uintptr_t datum) {
  if (conf<RewriteConf>(session).uninitialized_variable_warn)
    session.logger.warn("using uninitialized \"{}\" variable", *reinterpret_cast<const std::string_view*>(datum));
  return Value{{}, true};
}

}  // namespace

ConfResult<Unit> add_break(Line& line) {
  add_statement(line, line.arena().make<Break>());
  return Unit();
}

ConfResult<Unit> add_set(Line& line) {
  std::string_view name = line.word(1);
  if (name.size() < 2 || name[0] != '$') return format("invalid variable name \"{}\"", name);
  name.remove_prefix(1);
  VariableDef def;
  def.name = name;
  def.get = &uninitialised;
  def.flags = variable_changeable | variable_weak;
  def.engines = http_variable;
  def.datum = reinterpret_cast<uintptr_t>(line.arena().make<std::string_view>(name));
  auto index = variables_of(line).define(def, line.place());
  if (!index) return index.error();
  auto value = compile_word(line, 2);
  if (!value) return value.error();
  add_statement(line, line.arena().make<Set>(*index, std::move(*value)));
  return Unit();
}

ConfResult<Unit> add_if(Line& line) {
  auto condition = Condition::compile(line);
  if (!condition) return condition.error();
  bool in_a_location = line.block().context() == in_location;
  Block* block = line.open_block(in_a_location ? in_location_if : in_server_if);
  Location& inner = add_location(line, *block, Location::Match::none);
  add_statement(line, line.arena().make<If>(std::move(*condition), inner, in_a_location));
  return line.read_block(*block);
}

}  // namespace fairlead
