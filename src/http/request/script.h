// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The rewrite script: the statements of the modules that act in source order (set, if, rewrite, return, break, set_by_lua), one list per
// block. The runner is here; each statement is its module's. Statements never wait.
#pragma once

#include "http/request/verdict.h"

namespace fairlead {
class Line;
}
namespace fairlead::http {

class Request;
struct Location;

enum class ScriptStep : uint8_t {
  next,      // the following statement
  stop,      // no further statement of this phase, in whatever block (break, rewrite ... last)
  finished,  // `verdict` says how the request ends
};

class ScriptStatement {
 public:
  virtual ScriptStep run(Request& request, Verdict& verdict) const = 0;

 protected:
  ~ScriptStatement() = default;
};

// Adds a statement to the block the line stands in. The statement lies in the generation's arena.
void add_statement(const Line& line, ScriptStatement* statement);

// Runs the script of the request's current location. Behind it, request.wants_location tells that the URI changed and a location is to be
// found for it.
ScriptStep run_script(Request& request, Verdict& verdict);
// The same for the statements of one block, for those of them that open blocks.
ScriptStep run_statements(const Location& place, Request& request, Verdict& verdict);

}  // namespace fairlead::http
