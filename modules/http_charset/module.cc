// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// charset: what Content-Type says of a text's charset, and texts recoded from one to another. This file decides which; tables are
// charset_map.h's, the bytes recode_body.h's.
#include <algorithm>
#include <vector>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/conf/generation.h"
#include "core/conf/template.h"
#include "http/hooks.h"
#include "http/request/media_types.h"
#include "modules/http_charset/recode_body.h"

namespace fairlead {
namespace {

using namespace http;
using namespace http_charset;

struct CharsetConf {
  Template charset;   // "off": none
  Template source;
  bool overrides = false;
  MediaTypes types{{"text/xml", "text/plain", "text/vnd.wap.wml", "application/javascript", "application/rss+xml"}, false};
  std::vector<const CharsetMap*> maps;  // of the http block
  bool is_on = false;  // charset names one
};

ConfResult<Unit> add_map(Line& line, CharsetConf& own) {
  std::string_view from = line.word(1), to = line.word(2);
  if (equal_nocase(from, to)) return format("\"charset_map\" between the same charsets \"{}\" and \"{}\"", from, to);
  for (const CharsetMap* map : own.maps)
    if (map->is_pair(from, to)) return format("duplicate \"charset_map\" between \"{}\" and \"{}\"", from, to);
  CharsetMap* map = line.arena().make<CharsetMap>(from, to);
  own.maps.push_back(map);
  return line.read_lines([&](std::span<const std::string_view> words, Place) -> ConfResult<Unit> {
    if (words.size() != 2) return std::string("invalid parameters number");
    return map->add(words[0], words[1]);
  });
}

ConfResult<Unit> add_types(Line& line, CharsetConf& own) { return add_media_types(line, own.types); }

bool is_off(const Template& charset) { return !charset.is_set() || (charset.is_literal() && charset.literal() == "off"); }

struct Recoding {
  const CharsetMap* map = nullptr;  // nullptr: there is none
  CharsetMap::Way way = CharsetMap::Way::none;
};
Recoding find_recoding(const std::vector<const CharsetMap*>& maps, std::string_view from, std::string_view to) {
  for (const CharsetMap* map : maps) {
    CharsetMap::Way way = map->way(from, to);
    if (way != CharsetMap::Way::none) return {map, way};
  }
  return {};
}

ConfResult<Unit> check_map(Block& block) {
  const CharsetConf& own = conf<CharsetConf>(block);
  if (is_off(own.charset) || is_off(own.source) || !own.charset.is_literal() || !own.source.is_literal()) return Unit();
  std::string_view from = own.source.literal(), to = own.charset.literal();
  if (equal_nocase(from, to) || find_recoding(own.maps, from, to).map) return Unit();
  return format("no \"charset_map\" between the charsets \"{}\" and \"{}\"{}", from, to, at_place(block.place()));
}
ConfResult<Unit> finish_charset(Block& block, CharsetConf& own) {
  own.is_on = !is_off(own.charset);
  return check_map(block);
}

// A Content-Type cut in two.
struct TypeParts {
  std::string_view type;     // with its other parameters in front of charset
  std::string_view charset;  // empty: it names none
};
TypeParts cut_type(std::string_view value) {
  for (size_t at = value.find(';'); at != std::string_view::npos; at = value.find(';', at + 1)) {
    std::string_view parameter = trim_front(value.substr(at + 1));
    if (!starts_with_nocase(parameter, "charset=")) continue;
    std::string_view charset = trim(parameter.substr(parameter.find('=') + 1));
    if (charset.size() >= 2 && charset.front() == '"' && charset.back() == '"') charset = charset.substr(1, charset.size() - 2);
    return {trim_back(value.substr(0, at)), charset};
  }
  return {value, {}};
}

// An upstream may choose among the charsets that the configuration knows.
bool is_known(const CharsetConf& own, std::string_view charset) {
  for (const Template* named : {&own.charset, &own.source})
    if (named->is_literal() && equal_nocase(named->literal(), charset)) return true;
  return std::any_of(own.maps.begin(), own.maps.end(), [&](const CharsetMap* map) { return map->names(charset); });
}

// The charset the response is to be in; empty: as it is.
std::string_view wanted_charset(Request& request, const CharsetConf& own, const TypeParts& parts) {
  const Response& response = request.response;
  if (!response.charset_given.empty()) {
    if (is_known(own, response.charset_given)) return response.charset_given;
    While doing(request, "reading response header from upstream");
    request.logger.error("unknown charset \"{}\" to override", response.charset_given);
    return {};
  }
  if (!own.is_on || !own.types.hold(media_type_of(response))) return {};
  if (!parts.charset.empty() && !own.overrides) return {};
  std::string_view charset = own.charset.evaluate(request);
  return charset == "off" ? std::string_view() : charset;
}

// The body is another one from here on. Between charsets of single bytes each stays where it is.
void recode(Request& request, const Recoding& recoding) {
  Response& response = request.response;
  if (recoding.map->is_utf8()) {
    response.head.framing.content_length = no_length;
    response.allow_ranges = false;
    response.head.headers.remove(KnownHeader::accept_ranges);
  }
  response.body = request.arena().make<RecodeBody>(*response.body, *recoding.map, recoding.way);
}

void apply_charset(Request& request) {
  const CharsetConf& own = conf<CharsetConf>(request);
  Response& response = request.response;
  if (request.is_subrequest) return;  // a part is recoded with the whole
  std::string_view value = response.content_type.empty() ? response.head.headers.value(KnownHeader::content_type) : response.content_type;
  if (value.empty()) return;
  TypeParts parts = cut_type(value);
  std::string_view to = wanted_charset(request, own, parts);
  if (to.empty()) return;
  std::string_view from = parts.charset;
  if (from.empty() && !is_off(own.source)) from = own.source.evaluate(request);
  if (!from.empty() && from != "off" && !equal_nocase(from, to)) {
    if (!response.head.headers.value(KnownHeader::content_encoding).empty()) return;
    Recoding recoding = find_recoding(own.maps, from, to);
    if (!recoding.map) {
      request.logger.error("no \"charset_map\" between the charsets \"{}\" and \"{}\"", from, to);
      return;
    }
    if (response.body) recode(request, recoding);
  }
  if (!is_field_value(to) || response.status() == 301 || response.status() == 302) return;  // old browsers took it for the next page's
  response.content_type = request.arena().join({parts.type, "; charset=", to});
}

constexpr Directive rows[] = {
    slot<CharsetConf, &CharsetConf::charset>("charset", in_http_and_if,
        "The charset that Content-Type names, and that texts are recoded to if source_charset is another; \"off\": none.")
        .takes("charset | off").usual("off"),
    slot<CharsetConf, &CharsetConf::source>("source_charset", in_http_and_if, "The charset that texts are in.").takes("charset"),
    slot<CharsetConf, &CharsetConf::overrides>("override_charset", in_http_and_if,
        "Whether a charset that an upstream names is replaced, and the text recoded from it."),
    custom<add_types, CharsetConf, &CharsetConf::types>("charset_types", in_http_any, words_from(1),
        "Media types of texts, beside text/html; `*` is all.")
        .takes("mime-type ...").many(),
    custom<add_map, CharsetConf, &CharsetConf::maps>("charset_map", in_http, words(2),
        "A table of recoding: lines of a byte of the first charset and the same character in the second, in hex.")
        .block()
        .many()
        .takes("charset1 charset2"),
};

bool is_wanted(const Block& block) { return conf<CharsetConf>(block).is_on || !conf<CharsetConf>(block).maps.empty(); }
constexpr ResponseFilter filters[] = {{.stage = Stage::content, .apply = apply_charset, .applies = is_wanted}};
constexpr Hooks hooks = {.filters = filters};
constexpr std::string_view after[] = {"http_addition", "http_gunzip", "http_sub"};

}  // namespace

extern constinit const Module http_charset_module = {.name = "http_charset",
                                                     .conf = conf_of<CharsetConf>,
                                                     .directives = rows,
                                                     .after = after,
                                                     .finish = finish_of<finish_charset, CharsetConf>,
                                                     .http = &hooks};

}  // namespace fairlead
