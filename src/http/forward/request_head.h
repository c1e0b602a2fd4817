// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What modules that send HTTP requests on have in common: fields set by the configuration, those of the client that are not, the URI.
// The bytes or fields are made by a writer (h1/request_writer.h, h2/request_writer.h).
#pragma once

#include <vector>

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

// What lines of a block do to those of the block around it. `merge`: they stand beside them, and in place of those with the same name.
enum class SetHeaderInherit : uint8_t { on, merge };
// For finish functions: `own` as written in a block becomes what holds there.
void merge_headers(std::vector<SetHeader>& own, const std::vector<SetHeader>& outer);

// Never copied from the client: of its connection, or said anew.
constexpr KnownHeaderSet not_passed_on(KnownHeader::connection, KnownHeader::keep_alive, KnownHeader::transfer_encoding,
                                       KnownHeader::content_length, KnownHeader::te, KnownHeader::expect, KnownHeader::upgrade,
                                       KnownHeader::proxy_connection, KnownHeader::trailer, KnownHeader::host,
                                       KnownHeader::http2_settings);

// The URI of the request as the client sent it, unless something changed it; then escaped, in the request's arena.
std::string_view own_uri(Request& request);
// The path that locations were searched for, escaped, and the arguments, in the request's arena; whatever the client sent.
std::string_view normalised_uri(Request& request);

// `uri` as it may stand in a request line or a :path. A space or control byte, which a variable can have brought in ($uri is decoded),
// would end the line there and begin another request: it becomes %XX, in `arena`. Nearly always there is none, and `uri` is what it gives.
std::string_view escaped_target(std::string_view uri, Arena& arena);

}  // namespace fairlead::http

namespace fairlead {

template <>
struct EnumWords<http::SetHeaderInherit> {
  static constexpr EnumWord<http::SetHeaderInherit> all[] = {{"on", http::SetHeaderInherit::on}, {"merge", http::SetHeaderInherit::merge}};
};

// "field value", one per line.
template <>
struct ConfValue<std::vector<http::SetHeader>> {
  static constexpr WordCount words{2, 2};
  static constexpr std::string_view type = "field value";
  static constexpr bool repeatable = true;
  static ConfResult<Unit> parse(Line& line, std::vector<http::SetHeader>& field);
};

}  // namespace fairlead
