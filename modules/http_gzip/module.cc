// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// gzip: responses compressed on their way out. This file decides which; the bytes are gzip_body.h's, Accept-Encoding is accept.h's.
// Settings belong to the block's Conf, the compressed body to the request's arena.
#include <algorithm>
#include <memory>
#include <vector>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/regex.h"
#include "core/base/text.h"
#include "core/conf/value.h"
#include "http/hooks.h"
#include "http/request/media_types.h"
#include "http/request/request.h"
#include "modules/http_gzip/accept.h"
#include "modules/http_gzip/gzip_body.h"

namespace fairlead {

namespace http_gzip {
enum class Proxied : uint32_t {
  off = 1, expired = 2, no_cache = 4, no_store = 8, private_ = 16, no_last_modified = 32, no_etag = 64, auth = 128, any = 256,
};
enum class LeastVersion : uint8_t { http_1_0, http_1_1 };
}  // namespace http_gzip

template <>
struct EnumWords<http_gzip::Proxied> {
  using P = http_gzip::Proxied;
  static constexpr EnumWord<P> all[] = {{"off", P::off},         {"expired", P::expired},
                                        {"no-cache", P::no_cache}, {"no-store", P::no_store},
                                        {"private", P::private_},  {"no_last_modified", P::no_last_modified},
                                        {"no_etag", P::no_etag},   {"auth", P::auth},
                                        {"any", P::any}};
};
template <>
struct EnumWords<http_gzip::LeastVersion> {
  static constexpr EnumWord<http_gzip::LeastVersion> all[] = {{"1.0", http_gzip::LeastVersion::http_1_0},
                                                              {"1.1", http_gzip::LeastVersion::http_1_1}};
};

namespace {

using namespace http;
using namespace http_gzip;

struct GzipConf {
  bool on = false;
  bool vary = false;
  uint64_t level = 1;
  Buffers buffers{32, 4096};
  Size min_length{20};
  Size postpone{0};
  int window_bits = 15;
  int memory_level = 9;
  LeastVersion least_version = LeastVersion::http_1_1;
  Flags<Proxied> proxied{static_cast<uint32_t>(Proxied::off)};
  MediaTypes types;
  std::vector<std::shared_ptr<const Regex>> disabled_agents;
  bool disable_msie6 = false;
};

ConfResult<Unit> set_level(Line& line, GzipConf& own) {
  auto level = parse_decimal(line.word(1));
  if (!level) return std::string("invalid number");
  if (*level < 1 || *level > 9) return std::string("value must be between 1 and 9");
  own.level = *level;
  return Unit();
}

// A power of two up to 2^`most_bits`, as a setting of zlib that is `at_most` for the greatest.
ConfResult<int> parse_power(const Line& line, int most_bits, int at_most, std::string_view choices) {
  auto size = parse_size(line.word(1), SizeUnits::up_to_mega);
  if (!size) return line.invalid_value(1);
  int setting = at_most;
  for (int bits = most_bits; bits >= 9; --bits, --setting)
    if (*size == uint64_t{1} << bits) return setting;
  return format("must be {}", choices);
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

ConfResult<Unit> set_types(Line& line, GzipConf& own) { return add_media_types(line, own.types); }

ConfResult<Unit> set_disable(Line& line, GzipConf& own) {
  for (size_t i = 1; i < line.words().size(); ++i) {
    if (line.word(i) == "msie6") {
      own.disable_msie6 = true;
      continue;
    }
    auto regex = Regex::compile(line.word(i), RegexOptions{.caseless = true});
    if (!regex) return regex.error();
    own.disabled_agents.push_back(std::make_shared<const Regex>(std::move(*regex)));
  }
  return Unit();
}

// Internet Explorer 4 to 6, but not 6 with the second service pack of Windows XP.
bool is_msie6(std::string_view agent) {
  size_t at = agent.find("MSIE ");
  if (at == std::string_view::npos || at + 7 > agent.size() || agent[at + 6] != '.') return false;
  char major = agent[at + 5];
  return major == '4' || major == '5' || (major == '6' && agent.find("SV1", at) == std::string_view::npos);
}

bool is_agent_disabled(const Request& request, const GzipConf& own) {
  const Headers::Field* agent = request.head.headers.find(KnownHeader::user_agent);
  if (!agent) return false;
  if (own.disable_msie6 && is_msie6(agent->value)) return true;
  return std::any_of(own.disabled_agents.begin(), own.disabled_agents.end(),
                     [&](const auto& regex) { return regex->matches(agent->value); });
}

bool is_expired(const Headers& headers, std::string_view expires_text) {
  auto expires = parse_http_date(expires_text);
  if (!expires) return false;
  const Headers::Field* date = headers.find(KnownHeader::date);
  auto now = date ? parse_http_date(date->value) : std::optional<int64_t>(clock().seconds());
  return now && *expires < *now;
}

// A request with Via came through a proxy, which may keep the answer for clients that cannot decode it.
bool is_proxied_allowed(const Request& request, const GzipConf& own) {
  const Response& response = request.response;
  const Headers& headers = response.head.headers;
  Flags<Proxied> flags = own.proxied;
  if (flags.has(Proxied::off)) return false;
  if (flags.has(Proxied::any)) return true;
  if (flags.has(Proxied::auth) && request.head.headers.has(KnownHeader::authorization)) return true;
  if (const Headers::Field* expires = headers.find(KnownHeader::expires))
    return flags.has(Proxied::expired) && is_expired(headers, expires->value);
  if (headers.has(KnownHeader::cache_control)) {
    return (flags.has(Proxied::no_cache) && headers.any_names(KnownHeader::cache_control, "no-cache")) ||
           (flags.has(Proxied::no_store) && headers.any_names(KnownHeader::cache_control, "no-store")) ||
           (flags.has(Proxied::private_) && headers.any_names(KnownHeader::cache_control, "private"));
  }
  bool dated = response.last_modified >= 0 || headers.has(KnownHeader::last_modified);
  bool tagged = !response.etag.empty() || headers.has(KnownHeader::etag);
  return !(flags.has(Proxied::no_last_modified) && dated) && !(flags.has(Proxied::no_etag) && tagged);
}

bool is_response_fit(const Response& response, const GzipConf& own) {
  unsigned status = response.head.status;
  if (!own.on || !response.body || (status != 200 && status != 403 && status != 404)) return false;
  if (!response.head.headers.value(KnownHeader::content_encoding).empty()) return false;
  int64_t length = response.head.framing.content_length;
  if (length == no_length) length = static_cast<int64_t>(std::min<uint64_t>(response.body->size().value_or(INT64_MAX), INT64_MAX));
  return static_cast<uint64_t>(length) >= own.min_length && own.types.hold(media_type_of(response));
}

bool is_client_able(const Request& request, const GzipConf& own) {
  if (!accepts_gzip(request.head.headers.joined(KnownHeader::accept_encoding))) return false;
  bool old = request.head.version_major == 0 || (request.head.version_major == 1 && request.head.version_minor == 0);
  if (old && own.least_version == LeastVersion::http_1_1) return false;
  if (request.head.headers.has(KnownHeader::via) && !is_proxied_allowed(request, own)) return false;
  return !is_agent_disabled(request, own);
}

// The compressed bytes are another representation, equivalent but not the same: RFC 9110 section 8.8.1.
void weaken_tag(Request& request) {
  Response& response = request.response;
  std::string_view tag = response.etag.empty() ? response.head.headers.value(KnownHeader::etag) : response.etag;
  if (tag.empty() || tag.starts_with("W/")) return;
  response.head.headers.remove(KnownHeader::etag);
  response.etag = tag.starts_with('"') ? request.arena().join({"W/", tag}) : std::string_view();
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
  if (own.vary && !headers.any_names(KnownHeader::vary, "Accept-Encoding")) headers.add(KnownHeader::vary, "Accept-Encoding");
  if (!is_client_able(request, own)) return;
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
    slot<GzipConf, &GzipConf::vary>("gzip_vary", any, "Say `Vary: Accept-Encoding` of responses that are compressed for some clients."),
    custom<set_level, GzipConf, &GzipConf::level>("gzip_comp_level", any, words(1), "From 1, fast, to 9, small.").takes("level"),
    slot<GzipConf, &GzipConf::buffers>("gzip_buffers", any,
        "Size of a piece of compressed output; the number has no limit to set, pieces leave as they are made."),
    slot<GzipConf, &GzipConf::min_length>("gzip_min_length", any, "Shorter responses, as far as their length is known, stay as they are."),
    slot<GzipConf, &GzipConf::postpone>("postpone_gzipping", any, "How many bytes are gathered before compression begins."),
    custom<set_window, GzipConf, &GzipConf::window_bits>("gzip_window", any, words(1),
        "Size of the window of repeated text, 512 to 32k.").takes("size"),
    custom<set_hash, GzipConf, &GzipConf::memory_level>("gzip_hash", any, words(1),
        "Size of zlib's table of hashes, 512 to 128k.").takes("size"),
    slot<GzipConf, &GzipConf::least_version>("gzip_http_version", any,
        "Lowest version of requests that get compressed responses.").takes("1.0 | 1.1"),
    slot<GzipConf, &GzipConf::proxied>("gzip_proxied", any, "Which responses are compressed for requests that came with Via."),
    custom<set_types, GzipConf, &GzipConf::types>("gzip_types", any, words_from(1),
                                                "Media types that are compressed beside text/html; `*` is all.")
        .takes("mime-type ..."),
    custom<set_disable, GzipConf, &GzipConf::disabled_agents, &GzipConf::disable_msie6>("gzip_disable", any, words_from(1),
        "User agents, by regular expressions, that get no compressed responses.")
        .many()
        .takes("regex ..."),
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
