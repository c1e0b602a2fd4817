// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// browser: $modern_browser, $ancient_browser and $msie, by versions in User-Agent that the configuration names. Owns nothing.
#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/value.h"
#include "http/request/browser.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

using namespace http;

// How a browser tells its version. In the order in which they are looked for: Opera claims to be others, too.
struct Known {
  std::string_view name;
  size_t skip;            // bytes of User-Agent in front that all of them have
  std::string_view mark;  // the version stands behind it
  size_t mark_bytes;
};
constexpr Known known[] = {
    {"opera", 0, "Opera", 6},  // "Opera/9", "Opera 9"
    {"msie", 25, "MSIE ", 5},
    {"gecko", 13, "rv:", 3},
    {"safari", 13, "Safari/", 7},
    {"konqueror", 25, "Konqueror/", 10},
};

struct Modern {
  const Known* browser;
  uint64_t version;  // "1.2.3.4" as 1'02'03'04, the first part up to 4000
};
constexpr uint64_t version_max = 4'001'000'000;  // more than any

struct BrowserConf {
  std::vector<Modern> modern;
  bool takes_unlisted = false;
  std::vector<std::string_view> ancient;
  bool netscape4 = false;
  std::string_view modern_value = "1";
  std::string_view ancient_value = "1";
};

// Up to the first byte that belongs to no version; `rest` is left with what follows.
uint64_t read_version(std::string_view& rest) {
  uint64_t version = 0, part = 0, scale = 1'000'000;
  while (!rest.empty() && (is_digit(rest[0]) || rest[0] == '.')) {
    if (is_digit(rest[0])) {
      part = std::min<uint64_t>(part * 10 + static_cast<uint64_t>(rest[0] - '0'), 9999);
    } else {
      version += part * scale;
      part = 0;
      scale /= 100;
    }
    rest.remove_prefix(1);
  }
  return version + part * scale;
}

ConfResult<Unit> set_modern(Line& line, BrowserConf& own) {
  if (line.word_count() == 1) {
    if (line.word(1) != "unlisted") return line.invalid_value(1);
    own.takes_unlisted = true;
    return Unit();
  }
  auto browser = std::find_if(std::begin(known), std::end(known), [&](const Known& one) { return one.name == line.word(1); });
  if (browser == std::end(known)) return format("unknown browser name \"{}\"", line.word(1));
  std::string_view rest = line.word(2);
  uint64_t version = read_version(rest);
  if (!rest.empty()) return format("invalid browser version \"{}\"", line.word(2));
  own.modern.push_back({browser, version});
  return Unit();
}

ConfResult<Unit> add_ancient(Line& line, BrowserConf& own) {
  for (size_t i = 1; i < line.words().size(); ++i) {
    if (line.word(i) == "netscape4") own.netscape4 = true;
    else own.ancient.push_back(line.word(i));
  }
  return Unit();
}

ConfResult<Unit> finish_browser(Block& block, BrowserConf& own) {
  if (!block.is_set("modern_browser") || own.modern.empty()) return Unit();
  bool has_opera = std::any_of(own.modern.begin(), own.modern.end(), [](const Modern& one) { return one.browser == known; });
  if (!has_opera) own.modern.push_back({known, version_max});  // not to be taken for those it claims to be
  std::stable_sort(own.modern.begin(), own.modern.end(), [](const Modern& a, const Modern& b) { return a.browser < b.browser; });
  return Unit();
}

// What the first browser that is found says; nothing: none is.
std::optional<bool> is_listed_modern(std::string_view agent, std::span<const Modern> browsers) {
  for (const Modern& one : browsers) {
    size_t at = agent.size() > one.browser->skip ? agent.find(one.browser->mark, one.browser->skip) : std::string_view::npos;
    if (at == std::string_view::npos || at + one.browser->mark_bytes >= agent.size()) continue;
    std::string_view rest = agent.substr(at + one.browser->mark_bytes);
    return read_version(rest) >= one.version;
  }
  return std::nullopt;
}

bool is_netscape4(std::string_view agent) {
  return agent.size() > std::string_view("Mozilla/4.72 ").size() && agent.starts_with("Mozilla/") && agent[8] > '0' && agent[8] < '5';
}

bool is_modern(const Request& request, const BrowserConf& own) {
  const Headers::Field* field = request.head.headers.find(KnownHeader::user_agent);
  if (!field) return own.takes_unlisted;
  std::string_view agent = field->value;
  if (auto modern = is_listed_modern(agent, own.modern)) return *modern;
  if (!own.takes_unlisted || (own.netscape4 && is_netscape4(agent))) return false;
  return std::none_of(own.ancient.begin(), own.ancient.end(),
                      [&](std::string_view text) { return agent.find(text) != std::string_view::npos; });
}

Value get_modern(Session& session, uintptr_t) {
  const BrowserConf& own = conf<BrowserConf>(session);
  return Value{is_modern(as_request(session), own) ? own.modern_value : ""};
}
Value get_ancient(Session& session, uintptr_t) {
  const BrowserConf& own = conf<BrowserConf>(session);
  return Value{is_modern(as_request(session), own) ? "" : own.ancient_value};
}
Value get_msie(Session& session, uintptr_t) {
  return Value{browser_of(as_request(session).head.headers.value(KnownHeader::user_agent)).msie ? "1" : ""};
}

constexpr Directive rows[] = {
    custom<set_modern, BrowserConf, &BrowserConf::modern, &BrowserConf::takes_unlisted>("modern_browser", in_http_any, words(1, 2),
        "A browser and the version from which on it is modern; `unlisted`: those not named anywhere are, too.")
        .many()
        .takes("browser version | unlisted"),
    custom<add_ancient, BrowserConf, &BrowserConf::ancient, &BrowserConf::netscape4>("ancient_browser", in_http_any, words_from(1),
        "Texts in User-Agent that mark a browser as not modern.")
        .many()
        .takes("string ..."),
    slot<BrowserConf, &BrowserConf::modern_value>("modern_browser_value", in_http_any, "What $modern_browser is for a modern one.").many(),
    slot<BrowserConf, &BrowserConf::ancient_value>("ancient_browser_value", in_http_any, "What $ancient_browser is for any other.").many(),
};
constexpr VariableDef variables[] = {
    {.name = "modern_browser", .get = get_modern, .flags = variable_changeable, .engines = http_variable},
    {.name = "ancient_browser", .get = get_ancient, .flags = variable_changeable, .engines = http_variable},
    {.name = "msie", .get = get_msie, .flags = variable_changeable, .engines = http_variable},
};

}  // namespace

extern constinit const Module http_browser_module = {.name = "http_browser",
                                                     .conf = conf_of<BrowserConf>,
                                                     .directives = rows,
                                                     .variables = variables,
                                                     .finish = finish_of<finish_browser, BrowserConf>};

}  // namespace fairlead
