// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/script.h"

#include "core/conf/line.h"
#include "http/conf/location.h"
#include "http/request/request.h"

namespace fairlead::http {

void add_statement(const Line& line, ScriptStatement* statement) { location_of(line.block()).script.push_back(statement); }

ScriptStep run_script(Request& request, Verdict& verdict) {
  // An `if` that holds moves the request into its own location and runs that script itself; this list goes on behind it.
  for (const ScriptStatement* statement : request.location->script) {
    ScriptStep step = statement->run(request, verdict);
    if (step != ScriptStep::next) return step;
  }
  return ScriptStep::next;
}

}  // namespace fairlead::http
