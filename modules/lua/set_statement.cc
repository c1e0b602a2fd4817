// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// set_by_lua among the statements of the rewrite script.
#include "core/base/format.h"
#include "core/conf/block.h"
#include "http/request/request.h"
#include "http/request/script.h"
#include "modules/lua/conf.h"
#include "modules/lua/hooks.h"
#include "modules/lua/machine.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

using http::Request;
using http::ScriptStep;
using http::Verdict;

class SetByLua final : public http::ScriptStatement {
 public:
  SetByLua(uint32_t variable, const Script& script, std::vector<Template> arguments)
      : variable_(variable), script_(script), arguments_(std::move(arguments)) {}
  ScriptStep run(Request& request, Verdict& verdict) const override;

 private:
  uint32_t variable_;
  const Script& script_;
  std::vector<Template> arguments_;
};

ScriptStep SetByLua::run(Request& request, Verdict& verdict) const {
  Vm& vm = vm_of(request);
  lua_State* L = vm.main();
  Scope scope(vm, Hook::set, &request, request.logger);
  scope.arg_ref = vm.push_arg_table(L);
  for (size_t i = 0; i < arguments_.size(); ++i) {
    std::string_view text = arguments_[i].evaluate(request);
    if (text.empty()) continue;  // nil
    push_text(L, text);
    lua_rawseti(L, -2, static_cast<int>(i) + 1);
  }
  lua_pop(L, 1);
  bool loaded = vm.push_script(L, script_, &request) == Vm::Loaded::ok;
  bool good = loaded && vm.call(L, 0, 1);
  vm.give_arg_table(L, scope.arg_ref);
  if (!good) {
    if (loaded) {
      request.logger.error("failed to run set_by_lua*: {}", lua_tostring(L, -1));
      lua_pop(L, 1);
    } else {
      request.logger.error("{}", vm.text);
    }
    verdict = Verdict::status(500);
    return ScriptStep::finished;
  }
  vm.text.clear();
  const char* bad = nullptr;
  if (lua_isstring(L, -1)) append_value(L, -1, vm.text, bad);  // a text or a number; what else it gives is nothing
  lua_pop(L, 1);
  request.set_variable(variable_, request.arena().copy(vm.text));
  return ScriptStep::next;
}

// What it is worth where the statement was not reached.
Value nothing(Session&, uintptr_t) { return Value{{}, true}; }

}  // namespace

ConfResult<Unit> add_set_statement(Line& line, LuaConf&) {
  std::string_view name = line.word(1);
  if (name.size() < 2 || name[0] != '$') return format("invalid variable name \"{}\"", name);
  VariableDef def;
  def.name = name.substr(1);
  def.get = &nothing;
  def.flags = variable_changeable | variable_weak;
  def.engines = http_variable;
  auto index = variables_of(line).define(def, line.place());
  if (!index) return index.error();
  Script* script = nullptr;
  FL_TRY(read_script(line, Hook::set, script));
  std::vector<Template> arguments;
  for (size_t i = 3; i < line.words().size(); ++i) {
    auto argument = compile_word(line, i);
    if (!argument) return argument.error();
    arguments.push_back(std::move(*argument));
  }
  add_statement(line, line.arena().make<SetByLua>(*index, *script, std::move(arguments)));
  return Unit();
}

}  // namespace fairlead::lua
