// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// gzip: responses compressed on their way out. This file decides which; the bytes are gzip_body.h's, who takes them is said in
// http/request/gzip_rules.h. Settings belong to the block's Conf, the compressed body to the request's arena.
#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/value.h"
#include "http/hooks.h"
#include "http/request/gzip_rules.h"
#include "http/request/media_types.h"
#include "http/request/request.h"
#include "modules/http_gzip/gzip_body.h"

namespace fairlead {

namespace {

using namespace http;
using namespace http_gzip;

struct GzipConf {
  bool on = false;
  uint64_t level = 1;
  Buffers buffers{32, 4096};
  Size min_length{20};
  Size postpone{0};
  int window_bits = 15;
  int memory_level = 8;
  MediaTypes types;
};

ConfResult<Unit> set_level(Line& line, GzipConf& own) {
  auto level = parse_decimal(line.word(1));
  if (!level) return line.directive_reason("invalid number");
  if (*level < 1 || *level > 9) return std::string("value must be between 1 and 9");
  own.level = *level;
  return Unit();
}

// A power of two up to 2^`most_bits`, as a setting of zlib that is `at_most` for the greatest.
ConfResult<int> parse_power(const Line& line, int most_bits, int at_most, std::string_view choices) {
  auto size = parse_size(line.word(1), SizeUnits::up_to_mega);
  if (!size) return line.directive_reason("invalid value");
  int setting = at_most;
  for (int bits = most_bits; bits >= 9; --bits, --setting)
    if (*size == uint64_t{1} << bits) return setting;
  return line.directive_reason(format("must be {}", choices));
}

ConfResult<Unit> set_window(Line& line, GzipConf& own) {
  auto bits = parse_power(line, 15, 15, "512, 1k, 2k, 4k, 8k, 16k, or 32k");
  if (!bits) return bits.error();
  own.window_bits = *bits;
  return Unit();
}

ConfResult<Unit> set_hash(Line& line, GzipConf& own) {
  auto level = parse_power(line, 17, 9, "512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k");
  if (!level) return level.error();
  own.memory_level = *level;
  return Unit();
}

ConfResult<Unit> add_types(Line& line, GzipConf& own) { return add_media_types(line, own.types); }

bool is_response_fit(const Response& response, const GzipConf& own) {
  unsigned status = response.head.status;
  if (!own.on || !response.body || (status != 200 && status != 403 && status != 404)) return false;
  if (!response.head.headers.value(KnownHeader::content_encoding).empty()) return false;
  int64_t length = response.head.framing.content_length;
  if (length == no_length) length = static_cast<int64_t>(std::min<uint64_t>(response.body->size().value_or(INT64_MAX), INT64_MAX));
  return static_cast<uint64_t>(length) >= own.min_length && own.types.hold(media_type_of(response));
}

// A short body needs no window larger than itself; zlib would allocate it all the same.
Strength strength_for(const GzipConf& own, int64_t length) {
  Strength strength;
  strength.level = static_cast<int>(own.level);
  strength.window_bits = own.window_bits;
  strength.memory_level = own.memory_level;
  strength.output_bytes = std::max<size_t>(own.buffers.bytes, 64);
  strength.postpone_bytes = own.postpone;
  constexpr int64_t lookahead_least = 262;  // zlib's MIN_LOOKAHEAD
  while (length > 0 && strength.window_bits > 9 && length < (int64_t{1} << (strength.window_bits - 1)) - lookahead_least) {
    --strength.window_bits;
    strength.memory_level = std::max(strength.memory_level - 1, 1);
  }
  return strength;
}

void compress(Request& request) {
  const GzipConf& own = conf<GzipConf>(request);
  Response& response = request.response;
  if (!is_response_fit(response, own)) return;
  Headers& headers = response.head.headers;
  vary_by_encoding(request);
  if (!may_be_gzip(request)) return;
  Strength strength = strength_for(own, response.head.framing.content_length);
  headers.set(KnownHeader::content_encoding, "gzip");
  headers.remove(KnownHeader::accept_ranges);
  response.head.framing.content_length = no_length;
  response.allow_ranges = false;
  weaken_tag(request);
  response.body = request.arena().make<GzipBody>(*response.body, strength, request.slot<Counts>());
}

Value gzip_ratio(Session& session, uintptr_t) {
  const Counts* counts = session.find_slot<Counts>();
  if (!counts || counts->out == 0) return Value::missing();
  uint64_t hundredths = (counts->in * 100 + counts->out / 2) / counts->out;
  return Value{session.arena().copy(format("{}.{:02}", hundredths / 100, hundredths % 100))};
}

constexpr uint32_t any = in_http_any;
constexpr Directive rows[] = {
    slot<GzipConf, &GzipConf::on>("gzip", in_http_and_if, "Compress responses."),
    custom<set_level, GzipConf, &GzipConf::level>("gzip_comp_level", any, words(1), "From 1, fast, to 9, small.").takes("level")
        .usual("1"),
    slot<GzipConf, &GzipConf::buffers>("gzip_buffers", any,
        "Size of a piece of compressed output; the number has no limit to set, pieces leave as they are made."),
    slot<GzipConf, &GzipConf::min_length>("gzip_min_length", any, "Shorter responses, as far as their length is known, stay as they are."),
    slot<GzipConf, &GzipConf::postpone>("postpone_gzipping", any, "How many bytes are gathered before compression begins."),
    custom<set_window, GzipConf, &GzipConf::window_bits>("gzip_window", any, words(1),
        "Size of the window of repeated text, 512 to 32k.").takes("size"),
    custom<set_hash, GzipConf, &GzipConf::memory_level>("gzip_hash", any, words(1),
        "Size of zlib's table of hashes, 512 to 128k.").takes("size"),
    custom<add_types, GzipConf, &GzipConf::types>("gzip_types", any, words_from(1),
                                                "Media types that are compressed beside text/html; `*` is all.")
        .takes("mime-type ...").usual("text/html").many(),
};
constexpr VariableDef variables[] = {{.name = "gzip_ratio", .get = gzip_ratio, .flags = variable_volatile, .engines = http_variable}};
bool is_on(const Block& block) { return conf<GzipConf>(block).on; }
constexpr ResponseFilter filters[] = {{.stage = Stage::encode, .apply = compress, .applies = is_on}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

extern constinit const Module http_gzip_module = {.name = "http_gzip",
                                                  .conf = conf_of<GzipConf>,
                                                  .directives = rows,
                                                  .variables = variables,
                                                  .http = &hooks};

}  // namespace fairlead
