// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_rewrite/quoting.h"

#include "core/base/escape.h"

namespace fairlead {

using http::Request;

static bool was_escaped(const Request& request) { return request.head.path.find_first_of("%+") != std::string_view::npos; }

void append_capture(Request& request, uint32_t group, bool quote, std::string& to) {
  std::string_view text = request.capture(group);
  if (quote && was_escaped(request)) escape_append(Escape::args, to, text);
  else to += text;
}

std::string_view evaluate_in_script(Request& request, const Template& text) {
  if (!text.uses_captures() || !request.script_quotes_captures || !was_escaped(request)) return text.evaluate(request);
  std::string evaluated;
  for (const Template::Part& part : text.parts()) {
    switch (part.kind) {
      case Template::Part::Kind::literal: evaluated += part.text; break;
      case Template::Part::Kind::variable: evaluated += request.variable(part.index).text; break;
      case Template::Part::Kind::capture: append_capture(request, part.index, true, evaluated); break;
    }
  }
  return request.arena().copy(evaluated);
}

}  // namespace fairlead
