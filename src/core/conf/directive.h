// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// How a directive is declared: one constant row with name, contexts, arguments and a setter. `slot` rows take the parser from the field's
// type (value.h) and need no code; `custom` rows name a setter. Inheritance is generated from the row. See modules/README.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/error.h"

namespace fairlead {

class Line;

// Where a directive may stand; the bits are those of the block it stands in.
enum Context : uint32_t {
  in_main = 1u << 0,
  in_events = 1u << 1,
  in_http = 1u << 2,
  in_server = 1u << 3,
  in_location = 1u << 4,
  in_server_if = 1u << 5,
  in_location_if = 1u << 6,
  in_limit_except = 1u << 7,
  in_upstream = 1u << 8,
  in_stream = 1u << 9,
  in_stream_server = 1u << 10,
  in_stream_upstream = 1u << 11,
  // A block of a module's own, and a block within that. Rows for these stand only in blocks that their own module opened, so any module may
  // use them without knowing of others that do.
  in_own_block = 1u << 30,
  in_own_inner_block = 1u << 31,
};
constexpr uint32_t in_any_own_block = in_own_block | in_own_inner_block;
constexpr uint32_t in_http_any = in_http | in_server | in_location;
constexpr uint32_t in_http_and_if = in_http_any | in_location_if;
constexpr uint32_t in_stream_any = in_stream | in_stream_server;
constexpr uint32_t in_upstream_any = in_upstream | in_stream_upstream;
std::string_view context_name(uint32_t context);

// How many words may follow the name.
struct WordCount {
  uint16_t least = 0;
  uint16_t most = 0;
};
constexpr uint16_t many_words = 0xffff;
constexpr WordCount words(uint16_t exactly) { return {exactly, exactly}; }
constexpr WordCount words(uint16_t least, uint16_t most) { return {least, most}; }
constexpr WordCount words_from(uint16_t least) { return {least, many_words}; }

struct Directive {
  using Set = ConfResult<Unit> (*)(Line& line, void* conf);
  using Inherit = void (*)(void* to, const void* from);
  using Show = std::string (*)(const void* conf);

  std::string_view name;
  uint32_t contexts = 0;
  WordCount words;
  bool is_block = false;       // `{` must follow instead of `;`
  bool repeatable = false;     // may stand more than once in a block
  // For a block in another language: the number of bytes of `rest` up to and with the closing brace, as that language sees it. The text
  // before the brace becomes the last word.
  ConfResult<size_t> (*raw_block_end)(std::string_view rest) = nullptr;
  Set set = nullptr;           // `conf` is the module's Conf of the block the line stands in
  Inherit inherit = nullptr;   // copies what the row sets from the outer block's Conf; nullptr: the value is of this block alone
  Show show = nullptr;         // for the reference: the value in a Conf as it would be written; empty or nullptr: cannot be said
  std::string_view type;       // for the reference: "on | off", "time", "size", "number", "string ..."
  std::string_view fallback;   // for the reference: the value without the directive, where `show` cannot say
  std::string_view text;       // for the reference: what it does, in a sentence

  constexpr Directive block() const { Directive d = *this; d.is_block = true; return d; }
  constexpr Directive many() const { Directive d = *this; d.repeatable = true; return d; }
  constexpr Directive doc(std::string_view sentence) const { Directive d = *this; d.text = sentence; return d; }
  constexpr Directive takes(std::string_view what) const { Directive d = *this; d.type = what; return d; }
  constexpr Directive usual(std::string_view value) const { Directive d = *this; d.fallback = value; return d; }
  constexpr Directive raw(ConfResult<size_t> (*end)(std::string_view)) const {
    Directive d = *this;
    d.is_block = true;
    d.raw_block_end = end;
    return d;
  }
};

// Parses the words of a line into a field; specialised in value.h for each type a field may have.
//   static constexpr WordCount words; static constexpr std::string_view type; static constexpr bool repeatable;
//   static ConfResult<Unit> parse(Line&, T& field);
//   static std::string show(const T& field);   (may be absent) the value as it would be written; empty: there is no way to write it
template <class T>
struct ConfValue;

namespace detail {
template <class Conf, auto Member>
ConfResult<Unit> set_member(Line& line, void* conf) {
  auto& field = static_cast<Conf*>(conf)->*Member;
  return ConfValue<std::remove_cvref_t<decltype(field)>>::parse(line, field);
}
// One function per set of members: rows of one module that set the same members (allow, deny) are known by it.
template <class Conf, auto... Members>
void inherit_members(void* to, const void* from) {
  ((static_cast<Conf*>(to)->*Members = static_cast<const Conf*>(from)->*Members), ...);
}
template <class Conf, auto Member>
std::string show_member(const void* conf) {
  const auto& field = static_cast<const Conf*>(conf)->*Member;
  return ConfValue<std::remove_cvref_t<decltype(field)>>::show(field);
}
template <auto Function, class Conf>
ConfResult<Unit> set_custom(Line& line, void* conf) { return Function(line, *static_cast<Conf*>(conf)); }
}  // namespace detail

// A row that sets one field. The Conf type is passed beside the member pointer, so a row may name a member of a base bundle.
template <class Conf, auto Member>
constexpr Directive slot(std::string_view name, uint32_t contexts, std::string_view text = {}) {
  using Field = std::remove_cvref_t<decltype(static_cast<Conf*>(nullptr)->*Member)>;
  Directive d;
  d.name = name;
  d.contexts = contexts;
  d.words = ConfValue<Field>::words;
  d.repeatable = ConfValue<Field>::repeatable;
  d.set = &detail::set_member<Conf, Member>;
  d.inherit = &detail::inherit_members<Conf, Member>;
  if constexpr (requires(const Field& field) { ConfValue<Field>::show(field); }) d.show = &detail::show_member<Conf, Member>;
  d.type = ConfValue<Field>::type;
  d.text = text;
  return d;
}
// The same for a value of its own block, not inherited by inner ones.
template <class Conf, auto Member>
constexpr Directive local_slot(std::string_view name, uint32_t contexts, std::string_view text = {}) {
  Directive d = slot<Conf, Member>(name, contexts, text);
  d.inherit = nullptr;
  return d;
}
// A row whose setter is a function: ConfResult<Unit> set(Line&, Conf&). `Inherited`: the fields it sets that inner blocks take over. Rows
// with equal fields (allow, deny) are inherited as one: if any was set in a block, none is taken from outside.
template <auto Function, class Conf, auto... Inherited>
constexpr Directive custom(std::string_view name, uint32_t contexts, WordCount count, std::string_view text = {}) {
  Directive d;
  d.name = name;
  d.contexts = contexts;
  d.words = count;
  d.set = &detail::set_custom<Function, Conf>;
  if constexpr (sizeof...(Inherited) > 0) d.inherit = &detail::inherit_members<Conf, Inherited...>;
  d.text = text;
  return d;
}

// Names of bundles: "proxy" + "_read_timeout" as constant data.
template <size_t Size>
struct FixedText {
  char text[Size] = {};
  constexpr FixedText(const char (&from)[Size]) {
    for (size_t i = 0; i < Size; ++i) text[i] = from[i];
  }
  constexpr size_t size() const { return Size - 1; }
};
namespace detail {
template <FixedText A, FixedText B>
struct Joined {
  static constexpr auto make() {
    std::array<char, A.size() + B.size()> joined{};
    for (size_t i = 0; i < A.size(); ++i) joined[i] = A.text[i];
    for (size_t i = 0; i < B.size(); ++i) joined[A.size() + i] = B.text[i];
    return joined;
  }
  static constexpr auto all = make();
};
}  // namespace detail
template <FixedText Prefix, FixedText Name>
constexpr std::string_view joined_name = {detail::Joined<Prefix, Name>::all.data(), detail::Joined<Prefix, Name>::all.size()};

// One array from several (own rows and bundles).
template <size_t... Sizes>
constexpr auto join(const std::array<Directive, Sizes>&... parts) {
  std::array<Directive, (Sizes + ...)> all{};
  size_t at = 0;
  ((void)[&] { for (const Directive& d : parts) all[at++] = d; }(), ...);
  return all;
}

}  // namespace fairlead
