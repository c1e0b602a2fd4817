// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Byte ranges of responses whose length is known: 206 with one part or multipart/byteranges, 416, If-Range, max_ranges (RFC 9110 section
// 14). Which ranges are meant is in ranges.h, bodies of parts in parts.h; all of them lie in the request's arena.
#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/conf/value.h"
#include "http/hooks.h"
#include "http/request/request.h"
#include "http/request/uncut_body.h"
#include "modules/http_range/parts.h"
#include "modules/http_range/ranges.h"

namespace fairlead {
namespace {

using namespace http;
using http_range::CutBody;
using http_range::JoinedBody;
using http_range::Outcome;
using http_range::Range;

struct RangeConf {
  uint64_t max_ranges = UINT64_MAX;
};

// RFC 9110 section 13.1.5: only if what the client has a part of is still this response. An ETag is compared as a whole, so a weak one
// matches itself here, as in nginx.
bool if_range_holds(const Request& request) {
  const Headers::Field* field = request.head.headers.find(KnownHeader::if_range);
  if (!field) return true;
  const Response& response = request.response;
  std::string_view own = response.etag.empty() ? response.head.headers.value(KnownHeader::etag) : response.etag;  // else of the peer
  if (field->value.size() >= 2 && field->value.back() == '"') return !own.empty() && field->value == own;
  int64_t modified = response.last_modified >= 0 ? response.last_modified : response.last_modified_of_reply;
  auto date = parse_http_date(field->value);
  return date && modified >= 0 && *date == modified;
}

void refuse(Request& request, uint64_t length) {
  request.response.head.headers.set(KnownHeader::content_range, request.arena().copy(format("bytes */{}", length)));
  request.response.refused_status = 416;
}

std::string_view content_range(Request& request, const Range& range, uint64_t length) {
  return request.arena().copy(format("bytes {}-{}/{}", range.begin, range.end - 1, length));
}

void send_one(Request& request, const Range& range, uint64_t length) {
  Response& response = request.response;
  uint64_t bytes = range.end - range.begin;
  Body*& body = UncutBody::of(request);
  Body* part = body->part(request.arena(), range.begin, bytes);
  body = part ? part : request.arena().make<CutBody>(*body, range.begin, bytes);
  response.head.headers.set(KnownHeader::content_range, content_range(request, range, length));
  response.head.framing.content_length = static_cast<int64_t>(bytes);
}

void add_text(Request& request, JoinedBody& joined, std::string_view text) {
  joined.add(request.arena().make<BytesBody>(Slice(text)), text.size());
}

std::string_view make_boundary(Request& request) {
  static Random random = Random::from_system();  // first used in a worker, so workers differ
  return request.arena().copy(format("{:020}", random.next()));
}

// multipart/byteranges. False: this body cannot be cut in several places.
bool send_several(Request& request, std::span<const Range> ranges, uint64_t length) {
  Response& response = request.response;
  Body*& body = UncutBody::of(request);
  auto* joined = request.arena().make<JoinedBody>();
  std::string_view type = response.content_type;
  if (type.empty()) type = response.head.headers.value(KnownHeader::content_type);
  std::string_view type_line = type.empty() ? std::string_view() : request.arena().join({"Content-Type: ", type, "\r\n"});
  std::string_view boundary = make_boundary(request);
  for (const Range& range : ranges) {
    uint64_t bytes = range.end - range.begin;
    Body* part = body->part(request.arena(), range.begin, bytes);
    if (!part) return false;
    add_text(request, *joined, request.arena().join({"\r\n--", boundary, "\r\n", type_line, "Content-Range: ",
                                                     content_range(request, range, length), "\r\n\r\n"}));
    joined->add(part, bytes);
  }
  add_text(request, *joined, request.arena().join({"\r\n--", boundary, "--\r\n"}));
  response.content_type = request.arena().join({"multipart/byteranges; boundary=", boundary});
  body = joined;
  response.head.framing.content_length = static_cast<int64_t>(*joined->size());
  return true;
}

// True: the response is what was asked for, or refused.
bool cut_ranges(Request& request, uint64_t length) {
  std::string_view asked = request.head.headers.value(KnownHeader::range);
  constexpr std::string_view unit = "bytes=";
  if (asked.size() <= unit.size() || !starts_with_nocase(asked, unit) || !if_range_holds(request)) return false;
  std::vector<Range> ranges;
  uint64_t ranges_max = request.response.one_range_only ? 1 : conf<RangeConf>(request).max_ranges;
  Outcome outcome = http_range::parse_ranges(asked.substr(unit.size()), length, ranges_max, ranges);
  if (outcome == Outcome::whole) return false;
  if (outcome == Outcome::unsatisfiable) {
    refuse(request, length);
    return true;
  }
  if (ranges.size() == 1) send_one(request, ranges[0], length);
  else if (!send_several(request, ranges, length)) return false;
  request.response.head.status = 206;
  request.response.head.reason = {};
  return true;
}

void apply_ranges(Request& request) {
  Response& response = request.response;
  if (response.head.status != 200 || !response.allow_ranges || !response.body || request.head.version_major == 0) return;
  if (conf<RangeConf>(request).max_ranges == 0) return;
  uint64_t length;
  if (response.head.framing.content_length != no_length) length = static_cast<uint64_t>(response.head.framing.content_length);
  else if (auto size = response.body->size()) length = *size;
  else return;
  if (cut_ranges(request, length) || response.head.headers.any_names(KnownHeader::accept_ranges, "bytes")) return;
  response.head.headers.add(KnownHeader::accept_ranges, "bytes");
}

constexpr Directive rows[] = {
    slot<RangeConf, &RangeConf::max_ranges>("max_ranges", in_http_any,
        "Most byte ranges of one request; more get the whole, 0 turns ranges off."),
};
constexpr ResponseFilter filters[] = {{.stage = Stage::range, .apply = apply_ranges}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

extern constinit const Module http_range_module = {.name = "http_range", .conf = conf_of<RangeConf>, .directives = rows, .http = &hooks};

}  // namespace fairlead
