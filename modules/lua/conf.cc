// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/conf.h"

#include "core/base/format.h"
#include "core/conf/generation.h"

namespace fairlead::lua {

// "=content_by_lua(fairlead.conf:27)"
static std::string_view chunk_name(const Line& line, Hook hook) {
  std::string_view file = line.place().file;
  file = file.substr(file.rfind('/') + 1);
  return line.arena().copy(format("={}({}:{})", directive_name(hook), file, line.place().line));
}

constexpr HookSet must_say_something(Hook::init, Hook::server_rewrite, Hook::rewrite, Hook::access, Hook::precontent, Hook::content,
                                     Hook::header_filter, Hook::body_filter, Hook::log);
static std::string no_code() { return "invalid location config: no runnable Lua code"; }

ConfResult<Unit> read_script(Line& line, Hook hook, Script*& script) {
  if (script) return line.directive_reason("is duplicate");
  size_t at = hook == Hook::set ? 2 : 1;
  script = line.arena().make<Script>();
  script->hook = hook;
  if (line.name().ends_with("_file")) {
    script->is_file = true;
    auto path = compile_word(line, at);
    if (!path) return path.error();
    if (path->source().empty() && must_say_something.has(hook)) return no_code();
    script->path = std::move(*path);
    return Unit();
  }
  script->code = line.words()[at];
  if (script->code.empty() && !line.name().ends_with("_block") && must_say_something.has(hook)) return no_code();
  script->chunk_name = chunk_name(line, hook);
  return Unit();
}

}  // namespace fairlead::lua
