// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Patterns of ngx.re, compiled by PCRE2: with option `o` kept for use again, else only for the call. One per machine.
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/error.h"

namespace fairlead::lua {

struct NamedGroup {
  std::string name;
  uint32_t group;
};

// A compiled pattern and room for its groups.
class Pattern {
 public:
  Pattern() = default;
  ~Pattern();
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  pcre2_code* code = nullptr;
  pcre2_match_data* groups = nullptr;
  uint32_t group_count = 0;  // without group 0
  bool is_dfa = false;
  bool is_utf = false;
  bool gathers_names = false;  // option `D`: a name's groups that took part become an array
  bool keeps = false;        // in the cache
  uint32_t match_options = 0;
  std::vector<NamedGroup> names;

  // Groups found (at least 1), PCRE2_ERROR_NOMATCH, or another error. Offsets: pcre2_get_ovector_pointer(groups).
  int match(std::string_view subject, size_t from, pcre2_match_context* limits);
  const size_t* offsets() const { return pcre2_get_ovector_pointer(groups); }
  // Where to look on behind the last match, which was in `subject`: behind an empty one, one character further.
  size_t next_start(std::string_view subject) const;
};

class RegexCache {
 public:
  RegexCache(uint64_t entries_max, uint64_t match_limit);
  ~RegexCache();
  RegexCache(const RegexCache&) = delete;
  RegexCache& operator=(const RegexCache&) = delete;

  // nullptr: `error` says why. What it gives must be handed to release(), which destroys it unless it is kept.
  Pattern* use(std::string_view text, std::string_view options, std::string& error);
  static void release(Pattern* pattern);
  pcre2_match_context* limits() { return limits_; }
  // The stack of compiled patterns grows up to so many bytes. False: no memory, nothing has changed.
  bool set_jit_stack(size_t bytes_max);
  bool is_empty() const { return kept_.empty(); }
  // True once: the cache was asked for more than it may keep.
  bool take_overflow() { return std::exchange(overflow_, false); }

 private:
  Pattern* compile(std::string_view text, uint32_t options, bool jit, std::string& error);

  uint64_t entries_max_;
  pcre2_match_context* limits_;
  pcre2_jit_stack* jit_stack_ = nullptr;  // nullptr: the library's 32 KiB
  std::unordered_map<std::string, Pattern*> kept_;
  std::string key_;
  bool overflow_ = false;
  bool told_ = false;
};

}  // namespace fairlead::lua
