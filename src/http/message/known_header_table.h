// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The look-up behind find_known_header(), for loops over fields to have in place. A perfect hash of the list without regard to case: the
// first and last bytes of a name in machine words, which are all of a name up to sixteen bytes, give the one name that it can be.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "http/message/known_header.h"

namespace fairlead::http::known_header {

constexpr size_t name_bytes_max = 32;

// They may overlap.
struct Ends {
  uint64_t first = 0, last = 0;
};

template <class Word>
constexpr Word word_at(const char* at) {
  Word word = 0;
  if (!std::is_constant_evaluated()) {
    std::memcpy(&word, at, sizeof word);
    return word;
  }
  for (size_t i = 0; i < sizeof word; ++i) {
    size_t place = std::endian::native == std::endian::little ? i : sizeof word - 1 - i;
    word |= static_cast<Word>(Word{static_cast<uint8_t>(at[i])} << (8 * place));
  }
  return word;
}

// `size`: at least 1.
constexpr Ends ends_of(const char* text, size_t size) {
  if (size >= 8) return {word_at<uint64_t>(text), word_at<uint64_t>(text + size - 8)};
  if (size >= 4) return {word_at<uint32_t>(text), word_at<uint32_t>(text + size - 4)};
  uint64_t middle = word_at<uint8_t>(text + size / 2);
  return {word_at<uint8_t>(text) | middle << 8, word_at<uint8_t>(text + size - 1)};
}

// The factor was found by trial; a new name that collides fails to compile and wants a new one.
constexpr unsigned slot_bits = 9;
constexpr unsigned hash_of(const Ends& ends) {
  constexpr uint64_t lower_case = 0x2020202020202020;
  uint64_t both = (ends.first | lower_case) ^ std::rotl(ends.last | lower_case, 7);
  return static_cast<unsigned>((both * 0xa256964821691d07) >> (64 - slot_bits));
}

// `fold` has 0x20 where the name has a letter: (byte | fold) == text then holds for both cases of that letter and nothing else.
struct NameEnds {
  Ends text, fold;
  size_t size = 0;
};

struct NameText {
  char text[name_bytes_max] = {};
  char fold[name_bytes_max] = {};
};

struct Table {
  uint8_t at[1u << slot_bits] = {};
  NameEnds ends[known_header_count] = {};
  NameText texts[known_header_count] = {};  // for what lies between the ends
  bool perfect = true;

  consteval explicit Table(const std::string_view (&spellings)[known_header_count]) {
    for (unsigned i = 1; i < known_header_count; ++i) {
      std::string_view name = spellings[i];
      NameText& text = texts[i];
      if (name.size() > name_bytes_max) perfect = false;
      for (size_t k = 0; k < name.size(); ++k) {
        bool upper = name[k] >= 'A' && name[k] <= 'Z', lower = name[k] >= 'a' && name[k] <= 'z';
        text.fold[k] = upper || lower ? 0x20 : 0;
        text.text[k] = static_cast<char>(name[k] | text.fold[k]);
      }
      ends[i] = {ends_of(text.text, name.size()), ends_of(text.fold, name.size()), name.size()};
      uint8_t& slot = at[hash_of(ends[i].text)];
      if (slot != 0) perfect = false;
      slot = static_cast<uint8_t>(i);
    }
  }
};
extern const Table table;

bool same_middle(std::string_view name, const NameText& known);

// As find_known_header().
inline KnownHeader find(std::string_view name) {
  if (name.size() - 1 >= name_bytes_max) return KnownHeader::other;  // or empty
  Ends ends = ends_of(name.data(), name.size());
  unsigned at = table.at[hash_of(ends)];
  const NameEnds& known = table.ends[at];  // that of `other` has no byte
  if (known.size != name.size()) return KnownHeader::other;
  if ((ends.first | known.fold.first) != known.text.first || (ends.last | known.fold.last) != known.text.last) return KnownHeader::other;
  if (name.size() > 16 && !same_middle(name, table.texts[at])) return KnownHeader::other;
  return static_cast<KnownHeader>(at);
}

}  // namespace fairlead::http::known_header
