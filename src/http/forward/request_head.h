// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What modules that send HTTP requests on have in common: fields set by the configuration, those of the client that are passed on, the URI.
// The bytes or fields are made by a writer (h1/request_writer.h, h2/request_writer.h).
#pragma once

#include <vector>

#include "core/base/text.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "http/message/known_header.h"
#include "http/request/request.h"

namespace fairlead::http {

// proxy_set_header and its like: an empty value drops the field.
struct SetHeader {
  std::string_view name;
  Template value;
};

// Never copied from the client: of its connection, or said anew.
constexpr KnownHeaderSet not_passed_on(KnownHeader::connection, KnownHeader::keep_alive, KnownHeader::transfer_encoding,
                                       KnownHeader::content_length, KnownHeader::te, KnownHeader::expect, KnownHeader::upgrade,
                                       KnownHeader::proxy_connection, KnownHeader::trailer, KnownHeader::host);

inline bool names_hold(const std::vector<std::string_view>& names, std::string_view name) {
  for (std::string_view one : names)
    if (equal_nocase(one, name)) return true;
  return false;
}

// The client's fields but those in `replaced`.
template <class Writer>
void write_client_fields(const Request& request, const std::vector<std::string_view>& replaced, Writer& to) {
  for (const Headers::Field& field : request.head.headers) {
    if (not_passed_on.holds(field.known) || (!replaced.empty() && names_hold(replaced, field.name))) continue;
    to.field(field.name, field.value);
  }
}

// The URI of the request as the client sent it, unless something changed it; then escaped, in the request's arena.
std::string_view own_uri(Request& request);

}  // namespace fairlead::http

namespace fairlead {

// "field value", one per line.
template <>
struct ConfValue<std::vector<http::SetHeader>> {
  static constexpr WordCount words{2, 2};
  static constexpr std::string_view type = "field value";
  static constexpr bool repeatable = true;
  static ConfResult<Unit> parse(Line& line, std::vector<http::SetHeader>& field);
};

}  // namespace fairlead
