// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/request_head.h"

#include <algorithm>

#include "core/base/escape.h"
#include "core/base/text.h"
#include "http/conf/set_field.h"
#include "http/message/scan.h"
#include "http/message/uri.h"

namespace fairlead {

ConfResult<Unit> ConfValue<std::vector<http::SetHeader>>::parse(Line& line, std::vector<http::SetHeader>& field) {
  http::SetHeader header;
  header.name = http::set_field_name(line, 1);
  auto value = http::set_field_value(line, 2);
  if (!value) return value.error();
  header.value = std::move(*value);
  if (!header.name.empty()) field.push_back(std::move(header));
  return Unit();
}

namespace http {

void merge_headers(std::vector<SetHeader>& own, const std::vector<SetHeader>& outer) {
  std::vector<SetHeader> all;
  for (const SetHeader& header : outer) {
    bool replaced = std::any_of(own.begin(), own.end(), [&](const SetHeader& one) { return equal_nocase(one.name, header.name); });
    if (!replaced) all.push_back(header);
  }
  all.insert(all.end(), own.begin(), own.end());
  own = std::move(all);
}

std::string_view own_uri(Request& request) {
  return request.uri_changed ? normalised_uri(request) : request.head.request_uri;  // the parsers let no space or control byte pass
}

std::string_view normalised_uri(Request& request) {
  std::string_view path = escaped(Escape::uri, request.uri, request.arena());
  return request.args.empty() ? path : request.arena().join({path, "?", escaped_target(request.args, request.arena())});
}

std::string_view escaped_target(std::string_view uri, Arena& arena) {
  const char *at = uri.data(), *end = at + uri.size();
  return scan::find_blank_or_control(at, at, end) == end ? uri : escaped(Escape::target, uri, arena);
}

}  // namespace http
}  // namespace fairlead
