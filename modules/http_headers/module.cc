// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Fields that the configuration adds to responses: add_header, add_trailer, expires. The arithmetic of expires is in expires.h. Lists
// belong to the block's Conf, values to the request's arena.
#include <vector>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/conf/template.h"
#include "http/conf/core_conf.h"
#include "http/conf/set_field.h"
#include "http/hooks.h"
#include "http/message/status.h"
#include "http/request/request.h"
#include "modules/http_headers/expires.h"

namespace fairlead {

namespace http_headers {
enum class InheritMode : uint8_t { on, off, merge };
}

template <>
struct EnumWords<http_headers::InheritMode> {
  static constexpr EnumWord<http_headers::InheritMode> all[] = {{"on", http_headers::InheritMode::on},
                                                                {"off", http_headers::InheritMode::off},
                                                                {"merge", http_headers::InheritMode::merge}};
};

namespace {

using namespace http;
using namespace http_headers;

struct AddedField {
  std::string_view name;
  KnownHeader known = KnownHeader::other;
  Template value;
  bool always = false;
};

struct HeadersConf {
  std::vector<AddedField> headers;
  std::vector<AddedField> trailers;
  InheritMode header_inherit = InheritMode::on;
  InheritMode trailer_inherit = InheritMode::on;
  Expires expires;
  bool expires_modified = false;
  Template expires_value;        // set: evaluated for each response
  const Block* block = nullptr;  // whose Conf this is: inner blocks that set nothing share it
};

ConfResult<Unit> add_field(Line& line, std::vector<AddedField>& to) {
  AddedField field;
  field.name = set_field_name(line, 1);
  field.known = find_known_header(field.name);
  auto value = set_field_value(line, 2);
  if (!value) return value.error();
  field.value = std::move(*value);
  if (line.word_count() == 3) {
    if (line.word(3) != "always") return line.invalid_parameter(3);
    field.always = true;
  }
  if (!field.name.empty()) to.push_back(std::move(field));
  return Unit();
}
ConfResult<Unit> set_add_header(Line& line, HeadersConf& own) { return add_field(line, own.headers); }
ConfResult<Unit> set_add_trailer(Line& line, HeadersConf& own) { return add_field(line, own.trailers); }

ConfResult<Unit> set_expires(Line& line, HeadersConf& own) {
  own.expires_modified = line.word_count() == 2;
  if (own.expires_modified && line.word(1) != "modified") return line.directive_reason("invalid value");
  size_t last = line.word_count();
  auto value = compile_word(line, last);
  if (!value) return value.error();
  own.expires_value = Template();
  if (!value->is_literal()) {
    own.expires_value = std::move(*value);
    return Unit();
  }
  auto parsed = parse_expires(line.word(last), own.expires_modified);
  if (!parsed) return line.directive_reason(parsed.error());
  own.expires = *parsed;
  return Unit();
}

// add_header_inherit and add_trailer_inherit: `on` is what the rows do by themselves.
void apply_inherit(InheritMode mode, bool set_here, std::vector<AddedField>& own, const std::vector<AddedField>* outer) {
  if (mode == InheritMode::off && !set_here) own.clear();
  if (mode == InheritMode::merge && set_here && outer) own.insert(own.begin(), outer->begin(), outer->end());
}

ConfResult<Unit> finish_headers(Block& block, HeadersConf& own) {
  own.block = &block;
  const HeadersConf* outer = block.parent() ? &conf<HeadersConf>(*block.parent()) : nullptr;
  apply_inherit(own.header_inherit, block.is_set("add_header"), own.headers, outer ? &outer->headers : nullptr);
  apply_inherit(own.trailer_inherit, block.is_set("add_trailer"), own.trailers, outer ? &outer->trailers : nullptr);
  return Unit();
}

bool is_plain_status(unsigned status) {
  switch (status) {
    case 200: case 201: case 204: case 206: case 301: case 302: case 303: case 304: case 307: case 308: return true;
    default: return false;
  }
}

// With `off` an inner block that shares this Conf takes nothing over.
std::span<const AddedField> fields_for(const Request& request, InheritMode mode, const std::vector<AddedField>& all) {
  if (mode == InheritMode::off && conf<HeadersConf>(request).block != request.block) return {};
  return all;
}

// Empty if there is nothing to send, or nothing that may be sent.
std::string_view value_of(Request& request, const AddedField& field) {
  std::string_view text = field.value.evaluate(request);
  std::string_view value = sendable_value(text, request.arena());
  if (value.empty() && !text.empty()) request.logger.warn("value of \"{}\" holds control characters and is not sent", field.name);
  return value;
}

void set_expiry(Request& request, const HeadersConf& own) {
  Expires setting = own.expires;
  if (own.expires_value.is_set()) {
    auto parsed = parse_expires(own.expires_value.evaluate(request), own.expires_modified);
    if (!parsed) return;
    setting = *parsed;
  }
  if (setting.kind == ExpiresKind::off) return;
  Response& response = request.response;
  int64_t modified = response.last_modified >= 0 ? response.last_modified : response.last_modified_of_reply;
  Freshness fresh = freshness_of(setting, clock().seconds(), modified);
  Headers& headers = response.head.headers;
  char* date = static_cast<char*>(request.arena().allocate(http_date_size, 1));
  format_http_date(fresh.expires, date);
  headers.set(KnownHeader::expires, {date, http_date_size});
  headers.set(KnownHeader::cache_control, fresh.no_cache ? "no-cache" : request.arena().copy(format("max-age={}", fresh.max_age)));
}

// The fields there can be only one of are replaced, and an empty value takes validators away; others are added.
void add_one(Request& request, const AddedField& field) {
  Response& response = request.response;
  std::string_view value = value_of(request, field);
  if (field.known == KnownHeader::last_modified) {
    response.last_modified = -1;
    response.last_modified_of_reply = parse_http_date(value).value_or(-1);
    if (value.empty()) response.head.headers.remove(KnownHeader::last_modified);
    else response.head.headers.set(KnownHeader::last_modified, value);
  } else if (field.known == KnownHeader::etag) {
    response.etag = value;
    if (value.empty()) response.head.headers.remove(KnownHeader::etag);
  } else if (field.known == KnownHeader::content_type) {
    if (value.empty()) return;
    response.content_type = value;
    response.head.headers.set(KnownHeader::content_type, value);
  } else if (!value.empty()) {
    if (field.known == KnownHeader::location && !response.head.headers.has(KnownHeader::location)) response.foreign_location = true;
    response.head.headers.add(field.known, field.name, value);
  }
}

// Gives the trailer section when the body has ended, so its values may say what became of the body.
class TrailerBody final : public Body {
 public:
  TrailerBody(Request& request, Body& source, std::span<const AddedField> fields)
      : request_(request), source_(source), fields_(fields), trailers_(request.arena(), 4) {}
  Poll poll(Chunk& chunk) override {
    Poll polled = source_.poll(chunk);
    if (polled == Poll::end && !ended_) collect();
    return polled;
  }
  Task<Result<Unit>> ready() override { return source_.ready(); }
  Error error() const override { return source_.error(); }
  const Headers* trailers() const override { return &trailers_; }

 private:
  void collect() {
    ended_ = true;
    if (const Headers* from_source = source_.trailers())
      for (const Headers::Field& field : *from_source) trailers_.add(field.known, field.name, field.value);
    bool plain = is_plain_status(request_.response.head.status);
    for (const AddedField& field : fields_) {
      if (!plain && !field.always) continue;
      std::string_view value = value_of(request_, field);
      if (!value.empty()) trailers_.add(field.known, field.name, value);
    }
  }

  Request& request_;
  Body& source_;
  std::span<const AddedField> fields_;
  Headers trailers_;
  bool ended_ = false;
};

void apply_fields(Request& request) {
  const HeadersConf& own = conf<HeadersConf>(request);
  bool plain = is_plain_status(request.response.head.status);
  if (plain) set_expiry(request, own);
  for (const AddedField& field : fields_for(request, own.header_inherit, own.headers))
    if (plain || field.always) add_one(request, field);
}

// Only where the framing can carry trailers: chunked, which HTTP/1.0 does not know, or a version that always can.
void apply_trailers(Request& request) {
  const HeadersConf& own = conf<HeadersConf>(request);
  std::span<const AddedField> fields = fields_for(request, own.trailer_inherit, own.trailers);
  Response& response = request.response;
  if (fields.empty() || !response.body || !(request.head.is_http_1_1() || request.head.version_major >= 2)) return;
  bool plain = is_plain_status(response.head.status), wanted = false;
  for (const AddedField& field : fields) wanted |= plain || field.always;
  if (!wanted) return;
  if (request.head.version_major == 1 && request.method != Method::head && has_body(response.head.status)) {
    if (!conf<CoreConf>(request).chunked_transfer_encoding) return;
    response.head.framing.content_length = no_length;
  }
  response.body = request.arena().make<TrailerBody>(request, *response.body, fields);
}

constexpr uint32_t any_or_if = in_http_any | in_location_if;
constexpr Directive rows[] = {
    custom<set_add_header, HeadersConf, &HeadersConf::headers>("add_header", any_or_if, words(2, 3),
        "A field added to responses; `always`: whatever their status. A Content-Type replaces the one there is (nginx sends both).")
        .many()
        .takes("name value [always]"),
    custom<set_add_trailer, HeadersConf, &HeadersConf::trailers>("add_trailer", any_or_if, words(2, 3),
        "A field added behind chunked and HTTP/2 bodies.")
        .many()
        .takes("name value [always]"),
    slot<HeadersConf, &HeadersConf::header_inherit>("add_header_inherit", any_or_if,
        "Whether add_header lines of outer blocks hold where there are none, never, or also beside own ones."),
    slot<HeadersConf, &HeadersConf::trailer_inherit>("add_trailer_inherit", any_or_if, "The same for add_trailer."),
    custom<set_expires, HeadersConf, &HeadersConf::expires, &HeadersConf::expires_modified, &HeadersConf::expires_value>(
        "expires", any_or_if, words(1, 2), "Expires and Cache-Control of responses.")
        .takes("[modified] time | @time | epoch | max | off").usual("off"),
};
bool has_trailers(const Block& block) { return !conf<HeadersConf>(block).trailers.empty(); }
bool has_fields(const Block& block) {
  const HeadersConf& own = conf<HeadersConf>(block);
  return !own.headers.empty() || own.expires_value.is_set() || own.expires.kind != ExpiresKind::off;
}
constexpr ResponseFilter filters[] = {{.stage = Stage::headers, .apply = apply_fields, .applies = has_fields},
                                      {.stage = Stage::framing, .apply = apply_trailers, .applies = has_trailers}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

extern constinit const Module http_headers_module = {.name = "http_headers",
                                                     .conf = conf_of<HeadersConf>,
                                                     .directives = rows,
                                                     .finish = finish_of<finish_headers, HeadersConf>,
                                                     .http = &hooks};

}  // namespace fairlead
