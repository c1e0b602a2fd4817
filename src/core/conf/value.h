// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One parser per type of configuration value. A field of one of these types in a Conf struct is all that a `slot` row needs.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/text.h"
#include "core/conf/directive.h"
#include "core/conf/line.h"

namespace fairlead {

// Milliseconds, written as a time ("30s", "1m30s", "500ms").
struct Msec {
  uint64_t ms = 0;
  constexpr operator uint64_t() const { return ms; }
};
// A time without fractions of a second; kept in seconds.
struct Seconds {
  uint64_t s = 0;
  constexpr operator uint64_t() const { return s; }
};
// Bytes, written as a size ("8k", "1m").
struct Size {
  uint64_t bytes = 0;
  constexpr operator uint64_t() const { return bytes; }
};
// As Size, with `g` allowed.
struct Offset {
  uint64_t bytes = 0;
  constexpr operator uint64_t() const { return bytes; }
};
// A pair as in `proxy_buffers 8 4k`.
struct Buffers {
  uint64_t count = 0;
  uint64_t bytes = 0;
};

// An enumeration or a set of flags names its words, which are written in any case: specialise with `static constexpr EnumWord<T> words[]`.
template <class T>
struct EnumWord {
  std::string_view word;
  T value;
};
template <class T>
struct EnumWords;  // { static constexpr EnumWord<T> all[] = {...}; }

// A set of words: bits of E. Lines of one block add up, as nginx's do; a word without bits ("off") leaves the set empty whatever stands
// beside it.
template <class E>
struct Flags {
  uint32_t bits = 0;
  constexpr bool has(E e) const { return (bits & static_cast<uint32_t>(e)) != 0; }
};

// Lines of one kind, all or nothing: the inner block's replace the outer block's.
template <class T>
using List_of = std::vector<T>;

template <>
struct ConfValue<bool> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "on | off";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, bool& field);
  static std::string show(const bool& field);
};
template <>
struct ConfValue<uint64_t> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "number";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, uint64_t& field);
  static std::string show(const uint64_t& field);
};
template <>
struct ConfValue<Msec> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "time";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, Msec& field);
  static std::string show(const Msec& field);
};
template <>
struct ConfValue<Seconds> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "time";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, Seconds& field);
  static std::string show(const Seconds& field);
};
template <>
struct ConfValue<Size> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "size";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, Size& field);
  static std::string show(const Size& field);
};
template <>
struct ConfValue<Offset> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "size";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, Offset& field);
  static std::string show(const Offset& field);
};
template <>
struct ConfValue<Buffers> {
  static constexpr WordCount words{2, 2};
  static constexpr std::string_view type = "number size";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, Buffers& field);
  static std::string show(const Buffers& field);
};
template <>
struct ConfValue<std::string_view> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "string";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, std::string_view& field);
  static std::string show(const std::string_view& field);
};
template <class T>
  requires std::is_enum_v<T>
struct ConfValue<T> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "word";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, T& field) {
    for (const auto& word : EnumWords<T>::all) {
      if (!equal_nocase(word.word, line.word(1))) continue;
      field = word.value;
      return Unit();
    }
    return line.invalid_value(1);
  }
  static std::string show(const T& field) {
    for (const auto& word : EnumWords<T>::all)
      if (word.value == field) return std::string(word.word);
    return {};
  }
};
template <class E>
struct ConfValue<Flags<E>> {
  static constexpr WordCount words = words_from(1);
  static constexpr std::string_view type = "word ...";
  static constexpr bool repeatable = true;
  static ConfResult<Unit> parse(Line& line, Flags<E>& field) {
    uint32_t bits = line.is_again() ? field.bits : 0;
    bool is_off = line.is_again() && bits == 0;
    for (size_t i = 1; i < line.words().size(); ++i) {
      const EnumWord<E>* found = nullptr;
      for (const auto& word : EnumWords<E>::all)
        if (equal_nocase(word.word, line.word(i))) found = &word;
      if (!found) return line.invalid_value(i);
      uint32_t bit = static_cast<uint32_t>(found->value);
      if (bit ? (bits & bit) == bit : is_off) line.warn_duplicate_value(i);
      is_off |= bit == 0;
      bits |= bit;
    }
    field.bits = is_off ? 0 : bits;
    return Unit();
  }
  static std::string show(const Flags<E>& field) {
    std::string text;
    for (const auto& word : EnumWords<E>::all) {
      uint32_t bit = static_cast<uint32_t>(word.value);
      if (bit == 0 ? field.bits == 0 : (field.bits & bit) == bit) text.append(text.empty() ? "" : " ").append(word.word);
    }
    return text;
  }
};

}  // namespace fairlead
