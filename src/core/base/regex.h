// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Regular expressions: PCRE2 with its JIT. Which texts are matched, and what captures mean as variables, is said elsewhere. A Regex owns
// its compiled code; the offsets of the last match belong to the thread and are overwritten by its next match.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"

struct pcre2_real_code_8;

namespace fairlead {

struct RegexOptions {
  bool caseless = false;
  bool multiline = false;        // ^ and $ at each line
  bool dot_all = false;          // . matches a newline
  bool dollar_end_only = false;  // $ at the very end, not also before a newline that ends the subject
  bool extended = false;         // white space and # comments in the pattern
  bool utf = false;              // pattern and subject are UTF-8
  bool duplicate_names = false;  // several groups of one name
  bool jit = true;               // falls back to the interpreter where the system forbids it
};

// What a match found. Valid until the thread's next match, of whatever Regex.
class RegexMatch {
 public:
  // Groups with the whole match as group 0; those at the end that took no part may be missing.
  size_t count() const { return offsets_.size() / 2; }
  // Empty for a group that took no part.
  std::string_view operator[](size_t group) const;
  bool took_part(size_t group) const { return group < count() && offsets_[2 * group] != SIZE_MAX; }
  // Begin and end of each group in the subject; SIZE_MAX twice for one that took no part.
  std::span<const size_t> offsets() const { return offsets_; }

 private:
  friend class Regex;
  std::string_view subject_;
  std::span<const size_t> offsets_;
};

class Regex {
 public:
  enum class Outcome : uint8_t { match, no_match, error };
  struct Name {
    std::string name;
    uint32_t group;
  };

  // The error is worded `pcre2_compile() failed: TEXT in "PATTERN" at "REST"`; without the last part if all was read.
  static ConfResult<Regex> compile(std::string_view pattern, const RegexOptions& options = {});
  Regex(Regex&& other) noexcept
      : code_(std::exchange(other.code_, nullptr)),
        capture_count_(other.capture_count_),
        jit_(other.jit_),
        pattern_(std::move(other.pattern_)),
        names_(std::move(other.names_)) {}
  Regex& operator=(Regex&& other) noexcept;
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;
  ~Regex();

  // Looks for the first match at or behind byte `from`. `error`: a limit on backtracking (some 15 ms, a quarter of a second without the
  // JIT) or memory, or bad UTF-8; last_error_text() says which. Whether the subject matches is then unknown: a rule that lets something
  // in or keeps it out must take that for neither.
  Outcome match(std::string_view subject, RegexMatch& found, size_t from = 0) const;
  bool matches(std::string_view subject) const {
    RegexMatch found;
    return match(subject, found) == Outcome::match;
  }
  // About the thread's last match that gave `error`: `pcre2_match() failed: -47 (match limit exceeded)`.
  static std::string last_error_text();

  // Groups, without group 0.
  uint32_t capture_count() const { return capture_count_; }
  // Named groups, by name.
  const std::vector<Name>& names() const { return names_; }
  const std::string& pattern() const { return pattern_; }
  bool jit() const { return jit_; }

 private:
  Regex() = default;
  void read_names();

  pcre2_real_code_8* code_ = nullptr;
  uint32_t capture_count_ = 0;
  bool jit_ = false;
  std::string pattern_;
  std::vector<Name> names_;
};

}  // namespace fairlead
