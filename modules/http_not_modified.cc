// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Conditional requests: If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since against the validators of a response made here
// (RFC 9110 section 13), which may have none: then no tag but "*" matches it. If-Range is http_range's. A response passed on from an
// upstream carries its validators as plain fields, was judged there, and is left alone. Owns nothing.
#include "core/base/clock.h"
#include "core/base/text.h"
#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

using namespace http;

struct EntityTag {
  std::string_view opaque;  // with its quotes
  bool weak = false;
};

EntityTag parse_tag(std::string_view text) {
  if (text.starts_with("W/")) return {text.substr(2), true};
  return {text, false};
}

// Takes the next member off a list of entity tags. A comma between quotes belongs to the tag.
bool next_tag(std::string_view& list, EntityTag& tag) {
  size_t at = list.find_first_not_of(" \t,");
  if (at == std::string_view::npos) return false;
  list.remove_prefix(at);
  size_t quote = list.starts_with("W/") ? 2 : 0;
  size_t end = std::string_view::npos;
  if (quote < list.size() && list[quote] == '"') {
    size_t close = list.find('"', quote + 1);
    if (close != std::string_view::npos) end = close + 1;
  }
  if (end == std::string_view::npos) end = std::min(list.find(','), list.size());
  tag = parse_tag(trim(list.substr(0, end)));
  list.remove_prefix(end);
  return true;
}

// RFC 9110 section 8.8.3.2: a strong comparison never holds for a weak tag.
bool any_matches(std::string_view list, std::string_view own_text, bool strong) {
  if (trim(list) == "*") return true;
  if (own_text.empty()) return false;
  EntityTag own = parse_tag(own_text), tag;
  while (next_tag(list, tag)) {
    if (tag.opaque == own.opaque && !(strong && (tag.weak || own.weak))) return true;
  }
  return false;
}

bool is_modified_since(Request& request, std::string_view text) {
  IfModifiedSince mode = conf<CoreConf>(request).if_modified_since;
  int64_t last_modified = request.response.last_modified;
  if (mode == IfModifiedSince::off || last_modified < 0) return true;
  auto since = parse_http_date(text);
  if (!since) return true;
  return mode == IfModifiedSince::exact ? *since != last_modified : *since < last_modified;
}

void make_not_modified(Response& response) {
  response.head.status = 304;
  response.head.framing.content_length = no_length;
  response.content_type = {};
  response.head.headers.remove(KnownHeader::content_type);
  response.head.headers.remove(KnownHeader::content_encoding);
  response.allow_ranges = false;
}

// The order of RFC 9110 section 13.2.2: If-Match before If-Unmodified-Since, then If-None-Match before If-Modified-Since.
void judge(Request& request) {
  Response& response = request.response;
  bool judged_by_peer = response.is_reply && response.last_modified < 0 && response.etag.empty();
  if (response.head.status != 200 || judged_by_peer) return;
  const Headers& asked = request.head.headers;
  if (asked.has(KnownHeader::if_match)) {
    if (!any_matches(asked.joined(KnownHeader::if_match), response.etag, true)) response.refused_status = 412;
  } else if (asked.has(KnownHeader::if_unmodified_since) && response.last_modified >= 0) {
    auto since = parse_http_date(asked.value(KnownHeader::if_unmodified_since));
    if (since && *since < response.last_modified) response.refused_status = 412;
  }
  if (response.refused_status || (request.method != Method::get && request.method != Method::head)) return;
  if (asked.has(KnownHeader::if_none_match)) {
    if (any_matches(asked.joined(KnownHeader::if_none_match), response.etag, false)) make_not_modified(response);
  } else if (asked.has(KnownHeader::if_modified_since)) {
    if (!is_modified_since(request, asked.value(KnownHeader::if_modified_since))) make_not_modified(response);
  }
}

constexpr ResponseFilter filters[] = {{.stage = Stage::not_modified, .apply = judge}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

extern constinit const Module http_not_modified_module = {.name = "http_not_modified", .http = &hooks};

}  // namespace fairlead
