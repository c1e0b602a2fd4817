// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Location: a `location`, an `if` or `limit_except` block, or the server level itself, as a place where requests are answered; and the
// search for the location of a URI. Built when the configuration is loaded, immutable after. Owned by the generation's arena.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/conf/regex_rule.h"
#include "http/hooks.h"
#include "http/message/method.h"

namespace fairlead {
class Line;
}

namespace fairlead::http {

class ScriptStatement;
struct Server;

// The compiled hooks of one block: for each phase its entries in running order, and the filters in stage order.
struct Plan {
  bool server_phases_wait = false, location_phases_wait = false;
  bool has_server_entries = false, has_location_entries = false;  // of those phases
  bool has_entries_before_script = false;
  std::vector<const ResponseFilter*> filters;
  std::vector<const ForwardHook*> forward;
  std::vector<const TlsHook*> tls;
  std::vector<const PhaseEntry*> phases[phase_count];
  bool has_tls(TlsPoint at) const {
    for (const TlsHook* hook : tls)
      if (hook->at == at) return true;
    return false;
  }
};

struct Location {
  enum class Match : uint8_t { exact, prefix, prefix_no_regex, regex, named, none };  // none: server level, if, limit_except

  Server* server = nullptr;
  Location* outer = nullptr;
  std::unique_ptr<RegexRule> regex;
  // From here on what every request asks for, close together: it comes from the second cache each time.
  std::vector<Location*> inner;       // locations written inside
  std::string_view name;              // as written, without its modifier
  Block* block = nullptr;
  Match match = Match::none;
  bool caseless = false;
  bool is_internal = false;
  // nginx: a prefix location ending in '/' with a pass handler answers the same path without the slash with a redirect.
  bool redirects_without_slash = false;
  // limit_except: other methods than these go to `otherwise`.
  uint32_t allowed_methods = 0;
  Location* otherwise = nullptr;
  Content content = nullptr;          // not inherited, except into `if` and `limit_except`
  bool takes_connect = false;         // `content` answers CONNECT, which all others refuse
  std::vector<ScriptStatement*> script;  // of the rewrite phase, in source order
  Plan plan;

  // Filled by finish(): how inner locations are searched.
  struct Lookup {
    struct ExactName {
      uint64_t hash = 0;              // hash_bytes() of the name
      Location* location = nullptr;
    };
    std::vector<ExactName> exact;     // by hash: a power of two of places, at most half of them in use; a taken one is passed over
    uint64_t exact_sizes = 0;         // bit n: one of these names has n bytes, or so many more that they do not count (size_bit)
    std::vector<Location*> prefixes;  // sorted by name; `parent` is the longest prefix of it among them, or -1
    std::vector<int32_t> parent;
    std::vector<Location*> regexes;   // in source order
    bool adds_slash = false;          // one of the prefixes redirects_without_slash
  } lookup;
  // Sorts what was read and reports doubles.
  ConfResult<Unit> finish();
};

// What `uri` leads to from `from` (the server level): the location, or `from` if none matches. A regex match sets the session's captures.
struct Found {
  Location* location;      // nullptr: a regular expression could not be tried to its end, and the request must not go anywhere
  bool add_slash = false;  // the location redirects to the URI with a slash
};
Found find_location(Location& from, std::string_view uri, Session& session);

constexpr uint32_t method_bit(Method method) { return 1u << static_cast<unsigned>(method); }

// The location or server-level object a block belongs to.
Location& location_of(const Block& block);
// From the line on, `content` answers the location. The last such line of a location wins, as in nginx, which does not say so.
void set_content(const Line& line, Content content);

}  // namespace fairlead::http
