// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.re on PCRE2. Errors keep the words that scripts know from the first PCRE.
#include <algorithm>

#include "modules/lua/api.h"
#include "modules/lua/regex_cache.h"
#include "modules/lua/scope.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {
namespace {

// Compiles the pattern at 2 with the options at 3. nullptr: nil and the reason are pushed. Unknown flags raise, at the line of the caller
// `level` up.
Pattern* use_pattern(lua_State* L, int level = 1) {
  Scope& scope = Scope::current();
  RegexCache& cache = scope.vm.regexes();
  std::string_view options = lua_isnoneornil(L, 3) ? std::string_view() : check_text(L, 3);
  std::string& error = scope.vm.text;
  error.clear();
  Pattern* pattern = cache.use(check_text(L, 2), options, error);
  if (cache.take_overflow())
    scope.logger.warn("lua exceeding regex cache max entries ({})", scope.vm.conf().regex_cache_max);
  if (pattern) return pattern;
  if (error.starts_with("unknown flag")) {
    luaL_where(L, level);
    push_text(L, error);
    lua_concat(L, 2);
    lua_error(L);
  }
  push_failure(L, error);
  return nullptr;
}

int push_match_failure(lua_State* L, int code) {
  // PCRE's own numbers: -8 is the limit on backtracking, as before; -10 bad UTF-8.
  if (code == PCRE2_ERROR_MATCHLIMIT) code = -8;
  else if (code <= PCRE2_ERROR_UTF8_ERR1 && code >= PCRE2_ERROR_UTF8_ERR21) code = -10;
  lua_pushnil(L);
  lua_pushfstring(L, "pcre_exec() failed: %d", code);
  return 2;
}

// What a match found, with the places of the groups: a copy, as whatever allocates in Lua may run a finalizer, and whatever a script gave
// a metatable, and these may match with the same pattern.
class Groups {
 public:
  // Makes room, before the match. For many groups that is a userdata on top of L.
  Groups(lua_State* L, const Pattern& pattern) : pattern_(pattern), at_(few_) {
    if (pattern.group_count >= few) at_ = static_cast<size_t*>(lua_newuserdata(L, 2 * sizeof(size_t) * (pattern.group_count + 1)));
  }
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  // Groups found (at least 1), PCRE2_ERROR_NOMATCH, or another error.
  int match(Pattern& pattern, std::string_view subject, size_t from) {
    subject_ = subject;
    found_ = from > subject.size() ? PCRE2_ERROR_NOMATCH : pattern.match(subject, from, Scope::current().vm.regexes().limits());
    if (found_ > 0) std::copy_n(pattern.offsets(), 2 * found_, at_);
    return found_;
  }
  const Pattern& pattern() const { return pattern_; }
  bool took_part(uint32_t group) const { return static_cast<int>(group) < found_ && at_[2 * group] != PCRE2_UNSET; }
  size_t begin(uint32_t group) const { return at_[2 * group]; }
  size_t end(uint32_t group) const { return at_[2 * group + 1]; }
  // The group's text, or false.
  void push(lua_State* L, uint32_t group) const {
    if (took_part(group)) push_text(L, subject_.substr(begin(group), end(group) - begin(group)));
    else lua_pushboolean(L, 0);
  }

 private:
  static constexpr uint32_t few = 16;
  const Pattern& pattern_;
  std::string_view subject_;
  int found_ = 0;
  size_t* at_;
  size_t few_[2 * few];
};

// A name may have several groups: those that took part, in their order, in an array.
void gather_names(lua_State* L, const Groups& groups) {
  for (const NamedGroup& name : groups.pattern().names) {
    if (!groups.took_part(name.group)) continue;
    push_text(L, name.name);
    lua_rawget(L, -2);
    if (!lua_istable(L, -1)) {
      lua_pop(L, 1);
      lua_createtable(L, 1, 0);
      push_text(L, name.name);
      lua_pushvalue(L, -2);
      lua_rawset(L, -4);
    }
    groups.push(L, name.group);
    lua_rawseti(L, -2, static_cast<int>(lua_objlen(L, -2)) + 1);
    lua_pop(L, 1);
  }
}

// Fills the table on top.
void fill_groups(lua_State* L, const Groups& groups) {
  const Pattern& pattern = groups.pattern();
  uint32_t count = pattern.is_dfa ? 0 : pattern.group_count;
  for (uint32_t group = 0; group <= count; ++group) {
    groups.push(L, group);
    lua_rawseti(L, -2, static_cast<int>(group));
  }
  if (pattern.is_dfa) return;
  if (pattern.gathers_names) return gather_names(L, groups);
  for (const NamedGroup& name : pattern.names) {
    push_text(L, name.name);
    groups.push(L, name.group);
    lua_rawset(L, -3);
  }
}

// ctx.pos of the table at `index`, as a byte from 0; raises or gives the subject's size + 1 for a place behind its end.
size_t start_of(lua_State* L, int index, size_t size) {
  if (!lua_istable(L, index)) return 0;
  lua_getfield(L, index, "pos");
  lua_Integer at = lua_isnil(L, -1) ? 1 : luaL_checkinteger(L, -1);
  lua_pop(L, 1);
  if (at <= 0) at = 1;
  return static_cast<size_t>(at) - 1 > size ? size + 1 : static_cast<size_t>(at) - 1;
}

void set_position(lua_State* L, int index, size_t end) {
  if (!lua_istable(L, index)) return;
  lua_pushinteger(L, static_cast<lua_Integer>(end) + 1);
  lua_setfield(L, index, "pos");
}

int match(lua_State* L) {
  lua_settop(L, 5);
  std::string_view subject = to_text(L, 1);
  size_t from = start_of(L, 4, subject.size());
  Pattern* pattern = use_pattern(L);
  if (!pattern) return 2;
  Groups groups(L, *pattern);
  int found = groups.match(*pattern, subject, from);
  int given = 1;
  if (found == PCRE2_ERROR_NOMATCH) {
    lua_pushnil(L);
  } else if (found < 0) {
    given = push_match_failure(L, found);
  } else {
    if (lua_istable(L, 5)) lua_pushvalue(L, 5);
    else lua_createtable(L, static_cast<int>(pattern->group_count), 1 + static_cast<int>(pattern->names.size()));
    fill_groups(L, groups);
  }
  RegexCache::release(pattern);
  if (found > 0) set_position(L, 4, groups.end(0));
  return given;
}

// A number of a group; no pattern has the greatest one.
uint32_t group_of(lua_State* L, int index) {
  double number = luaL_optnumber(L, index, 0);
  return number > 0 ? static_cast<uint32_t>(std::min<double>(number, UINT32_MAX)) : 0;
}

int find(lua_State* L) {
  lua_settop(L, 5);
  std::string_view subject = to_text(L, 1);
  uint32_t group = group_of(L, 5);
  size_t from = start_of(L, 4, subject.size());
  Pattern* pattern = use_pattern(L);
  if (!pattern) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 3;
  }
  Groups groups(L, *pattern);
  int found = groups.match(*pattern, subject, from);
  bool has_group = group <= pattern->group_count;
  RegexCache::release(pattern);
  if (found == PCRE2_ERROR_NOMATCH) {
    lua_pushnil(L);
    return 1;
  }
  if (found < 0) {
    push_match_failure(L, found);
    lua_pushnil(L);
    lua_insert(L, -2);
    return 3;
  }
  if (!has_group) {
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushliteral(L, "nth out of bound");
    return 3;
  }
  set_position(L, 4, groups.end(0));
  if (!groups.took_part(group)) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushinteger(L, static_cast<lua_Integer>(groups.begin(group)) + 1);
  lua_pushinteger(L, static_cast<lua_Integer>(groups.end(group)));
  return 2;
}

// -- gmatch: a closure over the subject, the pattern, the options, the place, and whether the last match was empty --

int gmatch_next(lua_State* L) {
  lua_settop(L, 0);
  for (int i = 1; i <= 3; ++i) lua_pushvalue(L, lua_upvalueindex(i));
  lua_Integer at = lua_tointeger(L, lua_upvalueindex(4));
  std::string_view subject = check_text(L, 1);
  if (at < 0 || static_cast<size_t>(at) > subject.size()) {
    lua_pushnil(L);
    return 1;
  }
  Pattern* pattern = use_pattern(L);
  if (!pattern) return 2;
  Groups groups(L, *pattern);
  int found = groups.match(*pattern, subject, static_cast<size_t>(at));
  int given = 1;
  lua_Integer next = -1;
  if (found == PCRE2_ERROR_NOMATCH) {
    lua_pushnil(L);
  } else if (found < 0) {
    given = push_match_failure(L, found);
  } else {
    next = static_cast<lua_Integer>(pattern->next_start(subject));
    lua_createtable(L, static_cast<int>(pattern->group_count), 1 + static_cast<int>(pattern->names.size()));
    fill_groups(L, groups);
  }
  RegexCache::release(pattern);
  lua_pushinteger(L, next);
  lua_replace(L, lua_upvalueindex(4));
  return given;
}

int gmatch(lua_State* L) {
  lua_settop(L, 3);
  to_text(L, 1);
  Pattern* pattern = use_pattern(L);
  if (!pattern) return 2;
  RegexCache::release(pattern);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, gmatch_next, 4);
  return 1;
}

// -- sub, gsub --

// What stands behind a `$` in a replacement: a group, or a dollar. False: malformed, `wrong` says how.
bool read_reference(std::string_view& rest, int& group, const char*& wrong) {
  group = -1;
  wrong = "attempt to use a malformed replacement";
  if (rest.empty()) return false;
  if (rest[0] == '$') {
    rest.remove_prefix(1);
    return true;
  }
  bool braced = rest[0] == '{';
  if (braced) rest.remove_prefix(1);
  size_t digits = 0;
  int number = 0;
  while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9' && digits < 5) number = number * 10 + (rest[digits++] - '0');
  if (digits == 0) {
    wrong = "attempt to use named capturing variables in replacement template";
    return false;
  }
  rest.remove_prefix(digits);
  if (braced) {
    if (rest.empty() || rest[0] != '}') return false;
    rest.remove_prefix(1);
  }
  group = number;
  return true;
}

// What is the matter with a replacement; nullptr: nothing.
const char* check_replacement(std::string_view form) {
  int group;
  const char* wrong = nullptr;
  for (size_t dollar; (dollar = form.find('$')) != std::string_view::npos;) {
    form.remove_prefix(dollar + 1);
    if (!read_reference(form, group, wrong)) return wrong;
  }
  return nullptr;
}

// One that was checked.
void append_replacement(std::string& to, std::string_view form, const Groups& groups, std::string_view subject) {
  while (!form.empty()) {
    size_t dollar = form.find('$');
    to.append(form.substr(0, dollar));
    if (dollar == std::string_view::npos) return;
    form.remove_prefix(dollar + 1);
    int group;
    const char* wrong;
    read_reference(form, group, wrong);
    if (group < 0) {
      to += '$';
      continue;
    }
    auto number = static_cast<uint32_t>(group);
    if (groups.took_part(number)) to.append(subject.substr(groups.begin(number), groups.end(number) - groups.begin(number)));
  }
}

// For functions as replacements: step(subject, pattern, options, at) gives the groups, where the match begins and ends, and where to look
// on; nil if there is none, nil and the reason if something is wrong. The pattern is used anew for each match, so that nothing is held
// while the function runs.
int step(lua_State* L) {
  lua_settop(L, 4);
  std::string_view subject = check_text(L, 1);
  auto from = static_cast<size_t>(lua_tointeger(L, 4)) - 1;
  Pattern* pattern = use_pattern(L, 2);
  if (!pattern) return 2;
  Groups groups(L, *pattern);
  int found = groups.match(*pattern, subject, from);
  int given = 1;
  if (found == PCRE2_ERROR_NOMATCH) {
    lua_pushnil(L);
  } else if (found < 0) {
    given = push_match_failure(L, found);
  } else {
    auto next = static_cast<lua_Integer>(pattern->next_start(subject));
    lua_createtable(L, static_cast<int>(pattern->group_count), 1 + static_cast<int>(pattern->names.size()));
    fill_groups(L, groups);
    lua_pushinteger(L, static_cast<lua_Integer>(groups.begin(0)) + 1);
    lua_pushinteger(L, static_cast<lua_Integer>(groups.end(0)));
    lua_pushinteger(L, next + 1);
    given = 4;
  }
  RegexCache::release(pattern);
  return given;
}

int fail_sub(lua_State* L, int code, const char* wrong) {
  lua_pushnil(L);
  if (wrong) {
    Scope::current().logger.error("{}", wrong);
    lua_pushnil(L);
    lua_pushliteral(L, "failed to compile the replacement template");
  } else {
    push_match_failure(L, code);
  }
  return 3;
}

int substitute(lua_State* L, bool global) {
  lua_settop(L, 4);
  std::string_view subject = to_text(L, 1);
  check_text(L, 2);
  std::string_view form = to_text(L, 3);
  lua_insert(L, 3);  // use_pattern() looks for the options at 3
  Pattern* pattern = use_pattern(L);
  if (!pattern) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 3;
  }
  Groups groups(L, *pattern);
  std::string& text = Scope::current().vm.text;
  text.clear();
  lua_Integer count = 0;
  size_t copied = 0;
  int found = 0;
  const char* wrong = check_replacement(form);
  for (size_t from = 0; !wrong && from <= subject.size();) {
    found = groups.match(*pattern, subject, from);
    if (found < 0) break;
    text.append(subject.substr(copied, groups.begin(0) - copied));
    append_replacement(text, form, groups, subject);
    ++count;
    copied = groups.end(0);
    from = pattern->next_start(subject);
    if (!global) break;
  }
  RegexCache::release(pattern);
  if (wrong || (found < 0 && found != PCRE2_ERROR_NOMATCH)) return fail_sub(L, found, wrong);
  text.append(subject.substr(copied));
  push_text(L, text);
  lua_pushinteger(L, count);
  return 2;
}

int sub(lua_State* L) { return substitute(L, false); }
int gsub(lua_State* L) { return substitute(L, true); }

// opt(name, value) of the module ngx.re.
int opt(lua_State* L) {
  std::string_view name = lua_type(L, 1) == LUA_TSTRING ? check_text(L, 1) : std::string_view();
  if (name != "jit_stack_size") return luaL_error(L, "unrecognized option name");
  RegexCache& cache = Scope::current().vm.regexes();
  if (!cache.is_empty())
    return luaL_error(L, "changing jit stack size is not allowed when some regexs have already been compiled and cached");
  constexpr lua_Number bytes_most = 1 << 30;
  lua_Number bytes = luaL_checknumber(L, 2);
  if (!(bytes >= 1 && bytes <= bytes_most) || !cache.set_jit_stack(static_cast<size_t>(bytes)))
    return luaL_error(L, "failed to set a jit stack of %f bytes", bytes);
  return 0;
}

// compile(pattern, options): true, or nil and what is wrong.
int compile(lua_State* L) {
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_insert(L, 1);
  Pattern* pattern = use_pattern(L);
  if (!pattern) return 2;
  RegexCache::release(pattern);
  lua_pushboolean(L, 1);
  return 1;
}

int is_cache_empty(lua_State* L) {
  lua_pushboolean(L, Scope::current().vm.regexes().is_empty());
  return 1;
}

constexpr luaL_Reg functions[] = {
    {"match", match}, {"find", find},         {"gmatch", gmatch},                  {"sub", sub},       {"gsub", gsub},
    {"_step", step},  {"_compile", compile},  {"_is_cache_empty", is_cache_empty}, {"_opt", opt},      {nullptr, nullptr},
};

}  // namespace

void add_regex(lua_State* L) {
  lua_createtable(L, 0, 8);
  set_functions(L, functions);
  lua_setfield(L, -2, "re");
}

}  // namespace fairlead::lua
