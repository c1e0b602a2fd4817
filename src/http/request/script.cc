// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/script.h"

#include "core/conf/line.h"
#include "http/conf/location.h"
#include "http/request/request.h"

namespace fairlead::http {

void add_statement(const Line& line, ScriptStatement* statement) { location_of(line.block()).script.push_back(statement); }

ScriptStep run_statements(const Location& place, Request& request, Verdict& verdict) {
  for (const ScriptStatement* statement : place.script) {
    ScriptStep step = statement->run(request, verdict);
    if (step != ScriptStep::next) return step;
  }
  return ScriptStep::next;
}

// An `if` that holds moves the request into its own location and runs the statements there; this list goes on behind it.
ScriptStep run_script(Request& request, Verdict& verdict) {
  request.script_quotes_captures = true;
  return run_statements(*request.location, request, verdict);
}

}  // namespace fairlead::http
