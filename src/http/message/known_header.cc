// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/known_header.h"

#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace fairlead::http {
namespace {

constexpr size_t name_bytes_max = 32;

constexpr std::string_view spellings[known_header_count] = {
    "",
#define FL_HEADER_TEXT(identifier, spelling) spelling,
    FL_KNOWN_HEADERS(FL_HEADER_TEXT)
#undef FL_HEADER_TEXT
};

// The bytes of a name in machine words, first ones and last ones, which may overlap: all of a name up to sixteen bytes.
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

// A perfect hash of the list without regard to case: the factor was found by trial; a new name that collides fails to compile and wants a
// new one.
constexpr unsigned slot_bits = 9;
constexpr unsigned hash_of(const Ends& ends) {
  constexpr uint64_t lower_case = 0x2020202020202020;
  uint64_t both = (ends.first | lower_case) ^ std::rotl(ends.last | lower_case, 7);
  return static_cast<unsigned>((both * 0xa256964821691d07) >> (64 - slot_bits));
}

// `fold` has 0x20 where the name has a letter: (byte | fold) == text then holds for both cases of that letter and nothing else.
struct Name {
  char text[name_bytes_max] = {};
  char fold[name_bytes_max] = {};
  Ends ends, fold_ends;
  size_t size = 0;
};

struct Table {
  Name names[known_header_count] = {};
  uint8_t at[1u << slot_bits] = {};
  bool perfect = true;

  constexpr Table() {
    for (unsigned i = 1; i < known_header_count; ++i) {
      std::string_view name = spellings[i];
      Name& known = names[i];
      known.size = name.size();
      if (name.size() > name_bytes_max) perfect = false;
      for (size_t k = 0; k < name.size(); ++k) {
        bool upper = name[k] >= 'A' && name[k] <= 'Z', lower = name[k] >= 'a' && name[k] <= 'z';
        known.fold[k] = upper || lower ? 0x20 : 0;
        known.text[k] = static_cast<char>(name[k] | known.fold[k]);
      }
      known.ends = ends_of(known.text, known.size);
      known.fold_ends = ends_of(known.fold, known.size);
      uint8_t& slot = at[hash_of(known.ends)];
      if (slot != 0) perfect = false;
      slot = static_cast<uint8_t>(i);
    }
  }
};
constexpr Table table;
static_assert(table.perfect);
static_assert(known_header_count < 255);

// What lies between the ends of a long name.
bool same_middle(std::string_view name, const Name& known) {
  for (size_t at = 8; at + 8 < name.size(); at += 8) {
    uint64_t fold = word_at<uint64_t>(known.fold + at);
    if ((word_at<uint64_t>(name.data() + at) | fold) != word_at<uint64_t>(known.text + at)) return false;
  }
  return true;
}

}  // namespace

KnownHeader find_known_header(std::string_view name) {
  if (name.empty() || name.size() > name_bytes_max) return KnownHeader::other;
  Ends ends = ends_of(name.data(), name.size());
  unsigned at = table.at[hash_of(ends)];
  const Name& known = table.names[at];  // that of `other` has no byte
  if (known.size != name.size()) return KnownHeader::other;
  if ((ends.first | known.fold_ends.first) != known.ends.first || (ends.last | known.fold_ends.last) != known.ends.last)
    return KnownHeader::other;
  if (name.size() > 16 && !same_middle(name, known)) return KnownHeader::other;
  return static_cast<KnownHeader>(at);
}

std::string_view header_name(KnownHeader known) { return spellings[static_cast<unsigned>(known)]; }

}  // namespace fairlead::http
