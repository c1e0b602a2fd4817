// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "core/base/format.h"

namespace fairlead {
namespace {

// Each bounds one match. The steps are those that PCRE2 allows by itself, and nginx with it. Measured on ^(a+)+$: 15 ms with the JIT, 200
// to 260 ms in the interpreter. The others are enough for a pattern of a dozen groups that goes over a head of 64 KiB byte by byte.
constexpr uint32_t match_limit = 10'000'000;
constexpr uint32_t heap_limit_kib = 64 * 1024;  // the interpreter's backtracking frames
constexpr size_t jit_stack_min = 32 * 1024, jit_stack_max = 8 * 1024 * 1024;
// Stack and frames stay as large as a subject made them: behind a longer one than this the next match gives them back.
constexpr size_t kept_subject_max = 8192;

// What matching needs besides the pattern. One per thread, sized for the largest pattern seen; made at the first match.
struct Workspace {
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* jit_stack = nullptr;
  pcre2_match_data* result = nullptr;
  uint32_t groups = 0;
  bool has_grown = false;
  int last_error = 0;

  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace() { release(); }
  void release() {
    pcre2_match_data_free(std::exchange(result, nullptr));
    pcre2_match_context_free(std::exchange(context, nullptr));
    pcre2_jit_stack_free(std::exchange(jit_stack, nullptr));
    groups = 0;
    has_grown = false;
  }
  // False without memory.
  bool prepare(uint32_t groups_needed) {
    if (has_grown) release();
    if (!context) {
      context = pcre2_match_context_create(nullptr);
      if (!context) return false;
      pcre2_set_match_limit(context, match_limit);
      pcre2_set_heap_limit(context, heap_limit_kib);
      jit_stack = pcre2_jit_stack_create(jit_stack_min, jit_stack_max, nullptr);
      // Without a stack of its own the JIT uses 32 KiB of the thread's.
      if (jit_stack) pcre2_jit_stack_assign(context, nullptr, jit_stack);
    }
    if (groups < groups_needed) {
      pcre2_match_data_free(result);
      groups = std::max(groups_needed, 16u);
      result = pcre2_match_data_create(groups, nullptr);
      if (!result) groups = 0;
    }
    return result != nullptr;
  }
};

thread_local Workspace workspace;

std::string message_of(int error) {
  PCRE2_UCHAR text[256];
  if (pcre2_get_error_message(error, text, sizeof(text)) < 0) return format("error {}", error);
  return reinterpret_cast<const char*>(text);
}

uint32_t compile_flags(const RegexOptions& options) {
  uint32_t flags = 0;
  if (options.caseless) flags |= PCRE2_CASELESS;
  if (options.multiline) flags |= PCRE2_MULTILINE;
  if (options.dot_all) flags |= PCRE2_DOTALL;
  if (options.dollar_end_only) flags |= PCRE2_DOLLAR_ENDONLY;
  if (options.extended) flags |= PCRE2_EXTENDED;
  if (options.utf) flags |= PCRE2_UTF;
  if (options.duplicate_names) flags |= PCRE2_DUPNAMES;
  return flags;
}

}  // namespace

std::string_view RegexMatch::operator[](size_t group) const {
  if (!took_part(group)) return {};
  // \K in a lookahead can put the begin behind the end.
  size_t begin = offsets_[2 * group], end = std::max(begin, offsets_[2 * group + 1]);
  return subject_.substr(begin, end - begin);
}

ConfResult<Regex> Regex::compile(std::string_view pattern, const RegexOptions& options) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  // The pointer of an empty view may be null, which is not a pattern.
  PCRE2_SPTR text = reinterpret_cast<PCRE2_SPTR>(pattern.empty() ? "" : pattern.data());
  pcre2_code* code = pcre2_compile(text, pattern.size(), compile_flags(options), &error, &offset, nullptr);
  if (!code) {
    std::string reason = format("pcre2_compile() failed: {} in \"{}\"", message_of(error), pattern);
    if (offset < pattern.size()) reason += format(" at \"{}\"", pattern.substr(offset));
    return reason;
  }
  Regex regex;
  regex.code_ = code;
  regex.pattern_ = pattern;
  regex.jit_ = options.jit && pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
  pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &regex.capture_count_);
  regex.read_names();
  return regex;
}

Regex& Regex::operator=(Regex&& other) noexcept {
  if (this != &other) {
    pcre2_code_free(code_);
    code_ = std::exchange(other.code_, nullptr);
    capture_count_ = other.capture_count_;
    jit_ = other.jit_;
    pattern_ = std::move(other.pattern_);
    names_ = std::move(other.names_);
  }
  return *this;
}

Regex::~Regex() { pcre2_code_free(code_); }

void Regex::read_names() {
  uint32_t count = 0, entry_bytes = 0;
  PCRE2_SPTR table = nullptr;
  pcre2_pattern_info(code_, PCRE2_INFO_NAMECOUNT, &count);
  if (count == 0) return;
  pcre2_pattern_info(code_, PCRE2_INFO_NAMEENTRYSIZE, &entry_bytes);
  pcre2_pattern_info(code_, PCRE2_INFO_NAMETABLE, &table);
  for (uint32_t i = 0; i < count; ++i, table += entry_bytes) {  // an entry: two bytes of group number, the name, a zero
    names_.push_back({reinterpret_cast<const char*>(table + 2), static_cast<uint32_t>(table[0]) << 8 | table[1]});
  }
}

Regex::Outcome Regex::match(std::string_view subject, RegexMatch& found, size_t from) const {
  FL_ASSERT(code_ && from <= subject.size());
  if (!workspace.prepare(capture_count_ + 1)) {
    workspace.last_error = PCRE2_ERROR_NOMEMORY;
    return Outcome::error;
  }
  PCRE2_SPTR text = reinterpret_cast<PCRE2_SPTR>(subject.empty() ? "" : subject.data());
  int count = pcre2_match(code_, text, subject.size(), from, 0, workspace.result, workspace.context);
  workspace.has_grown = subject.size() > kept_subject_max;
  if (count == PCRE2_ERROR_NOMATCH) return Outcome::no_match;
  if (count < 0) {
    workspace.last_error = count;
    return Outcome::error;
  }
  FL_ASSERT(count > 0);  // 0: not enough room for the groups
  found.subject_ = subject;
  found.offsets_ = {pcre2_get_ovector_pointer(workspace.result), static_cast<size_t>(count) * 2};
  return Outcome::match;
}

std::string Regex::last_error_text() {
  return format("pcre2_match() failed: {} ({})", workspace.last_error, message_of(workspace.last_error));
}

}  // namespace fairlead
