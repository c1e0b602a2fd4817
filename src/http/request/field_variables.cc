// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/field_variables.h"

#include <string>

#include "core/base/text.h"
#include "http/request/request.h"

namespace fairlead::http {

// Not what the configuration has taken the name for: `set` has given it its value.
static void forget(Request& request, uint32_t index) {
  if (!(request.variables().entry(index).flags & variable_changeable)) request.forget_variable(index);
}

static void forget(Request& request, std::string_view variable) {
  if (auto index = request.variables().find(variable)) forget(request, *index);
}

static void forget_cookies(Request& request) {
  for (uint32_t i = 0; i < request.variables().size(); ++i)
    if (request.variables().entry(i).name.starts_with("cookie_")) forget(request, i);
}

void forget_field(Request& request, std::string_view name) {
  std::string variable = "http_";
  for (char byte : name) variable += byte == '-' ? '_' : lower(byte);
  forget(request, variable);
  switch (find_known_header(name)) {
    case KnownHeader::content_type: return forget(request, "content_type");
    case KnownHeader::content_length: return forget(request, "content_length");
    case KnownHeader::host: return forget(request, "host");
    case KnownHeader::authorization: return forget(request, "remote_user");
    case KnownHeader::cookie: return forget_cookies(request);
    default: return;
  }
}

}  // namespace fairlead::http
