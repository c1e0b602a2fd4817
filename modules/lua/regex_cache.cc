// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/regex_cache.h"

#include <memory>
#include <utility>

#include "core/base/format.h"

namespace fairlead::lua {

static constexpr size_t dfa_workspace = 512;
static constexpr uint32_t match_limit_default = 1'000'000;  // backtracking that takes some tens of milliseconds

Pattern::~Pattern() {
  if (groups) pcre2_match_data_free(groups);
  if (code) pcre2_code_free(code);
}

int Pattern::match(std::string_view subject, size_t from, pcre2_match_context* limits) {
  auto text = reinterpret_cast<PCRE2_SPTR>(subject.data() ? subject.data() : "");
  if (!is_dfa) return pcre2_match(code, text, subject.size(), from, match_options, groups, limits);
  int workspace[dfa_workspace];
  int found = pcre2_dfa_match(code, text, subject.size(), from, match_options, groups, limits, workspace, dfa_workspace);
  return found == 0 ? 1 : found;  // more ways to match than there is room for: the longest stands first
}

size_t Pattern::next_start(std::string_view subject) const {
  size_t end = offsets()[1];
  if (end != offsets()[0]) return end;
  ++end;
  auto is_inside = [&] { return end < subject.size() && (static_cast<unsigned char>(subject[end]) & 0xc0) == 0x80; };
  while (is_utf && is_inside()) ++end;
  return end;
}

RegexCache::RegexCache(uint64_t entries_max, uint64_t match_limit) : entries_max_(entries_max) {
  limits_ = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(limits_, match_limit ? static_cast<uint32_t>(match_limit) : match_limit_default);
}

RegexCache::~RegexCache() {
  for (auto& each : kept_) delete each.second;
  pcre2_match_context_free(limits_);
  pcre2_jit_stack_free(jit_stack_);
}

void RegexCache::release(Pattern* pattern) {
  if (pattern && !pattern->keeps) delete pattern;
}

namespace {

struct Flags {
  uint32_t options = 0;
  bool once = false, jit = false, dfa = false, unchecked = false;
};

// False: `error` names the unknown flag.
bool read_flags(std::string_view text, Flags& flags, std::string& error) {
  for (char flag : text) {
    switch (flag) {
      case 'a': flags.options |= PCRE2_ANCHORED; break;
      case 'd': flags.dfa = true; break;
      case 'D': flags.options |= PCRE2_DUPNAMES; break;
      case 'i': flags.options |= PCRE2_CASELESS; break;
      case 'j': flags.jit = true; break;
      case 'J': flags.options |= PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALLOW_EMPTY_CLASS; break;
      case 'm': flags.options |= PCRE2_MULTILINE; break;
      case 'o': flags.once = true; break;
      case 's': flags.options |= PCRE2_DOTALL; break;
      case 'u': flags.options |= PCRE2_UTF; break;
      case 'U':
        flags.options |= PCRE2_UTF;
        flags.unchecked = true;
        break;
      case 'x': flags.options |= PCRE2_EXTENDED; break;
      default: error = format("unknown flag \"{}\" (flags \"{}\")", flag, text); return false;
    }
  }
  return true;
}

void read_names(Pattern& pattern) {
  uint32_t count = 0, entry_bytes = 0;
  PCRE2_SPTR table = nullptr;
  pcre2_pattern_info(pattern.code, PCRE2_INFO_NAMECOUNT, &count);
  pcre2_pattern_info(pattern.code, PCRE2_INFO_NAMEENTRYSIZE, &entry_bytes);
  pcre2_pattern_info(pattern.code, PCRE2_INFO_NAMETABLE, &table);
  for (uint32_t i = 0; i < count; ++i, table += entry_bytes)
    pattern.names.push_back({reinterpret_cast<const char*>(table + 2), static_cast<uint32_t>(table[0] << 8 | table[1])});
}

}  // namespace

bool RegexCache::set_jit_stack(size_t bytes_max) {
  constexpr size_t first_bytes = 32 * 1024;
  pcre2_jit_stack* made = pcre2_jit_stack_create(std::min(first_bytes, bytes_max), bytes_max, nullptr);
  if (!made) return false;
  pcre2_jit_stack_assign(limits_, nullptr, made);
  pcre2_jit_stack_free(jit_stack_);
  jit_stack_ = made;
  return true;
}

Pattern* RegexCache::compile(std::string_view text, uint32_t options, bool jit, std::string& error) {
  int number;
  size_t offset;
  auto pattern = std::make_unique<Pattern>();
  auto source = reinterpret_cast<PCRE2_SPTR>(text.data() ? text.data() : "");
  pattern->code = pcre2_compile(source, text.size(), options, &number, &offset, nullptr);
  if (!pattern->code) {
    PCRE2_UCHAR why[128];
    pcre2_get_error_message(number, why, sizeof why);
    error = format("pcre_compile() failed: {} in \"{}\"", reinterpret_cast<const char*>(why), text);
    if (offset < text.size()) error += format(" at \"{}\"", text.substr(offset));
    return nullptr;
  }
  if (jit) pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
  pattern->groups = pcre2_match_data_create_from_pattern(pattern->code, nullptr);
  pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &pattern->group_count);
  read_names(*pattern);
  return pattern.release();
}

Pattern* RegexCache::use(std::string_view text, std::string_view options, std::string& error) {
  bool may_be_kept = options.find('o') != std::string_view::npos;
  if (may_be_kept) {
    key_.assign(options).push_back('\0');
    key_.append(text);
    auto known = kept_.find(key_);
    if (known != kept_.end()) return known->second;
  }
  Flags flags;
  if (!read_flags(options, flags, error)) return nullptr;
  Pattern* pattern = compile(text, flags.options, flags.jit, error);
  if (!pattern) return nullptr;
  pattern->is_dfa = flags.dfa;
  pattern->is_utf = flags.options & PCRE2_UTF;
  pattern->gathers_names = flags.options & PCRE2_DUPNAMES;
  if (flags.unchecked) pattern->match_options |= PCRE2_NO_UTF_CHECK;
  if (flags.once && kept_.size() < entries_max_) {
    pattern->keeps = true;
    kept_.emplace(key_, pattern);
  } else if (flags.once && !told_) {
    told_ = overflow_ = true;
  }
  return pattern;
}

}  // namespace fairlead::lua
