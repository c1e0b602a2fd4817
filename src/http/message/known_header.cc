// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/known_header.h"

#include <cstddef>
#include <cstring>

namespace fairlead::http {
namespace {

constexpr size_t name_bytes_max = 32;
constexpr unsigned slots = 512;

constexpr std::string_view spellings[known_header_count] = {
    "",
#define FL_HEADER_TEXT(identifier, spelling) spelling,
    FL_KNOWN_HEADERS(FL_HEADER_TEXT)
#undef FL_HEADER_TEXT
};

constexpr unsigned lower_bit(char byte) { return static_cast<unsigned char>(byte) | 0x20u; }

// A perfect hash of the list: the factors were found by trial; a new name that collides fails to compile and wants new ones.
constexpr unsigned hash_of(std::string_view name) {
  size_t size = name.size();
  return static_cast<unsigned>(size * 69 + lower_bit(name[0]) * 153 + lower_bit(name[size - 1]) * 60 + lower_bit(name[size / 2]) * 74) &
         (slots - 1);
}

// `fold` has 0x20 where the name has a letter: (byte | fold) == text then holds for both cases of that letter and nothing else.
struct Name {
  char text[name_bytes_max] = {};
  char fold[name_bytes_max] = {};
};

struct Table {
  Name names[known_header_count] = {};
  uint8_t at[slots] = {};
  bool perfect = true;

  constexpr Table() {
    for (unsigned i = 1; i < known_header_count; ++i) {
      std::string_view name = spellings[i];
      if (name.size() > name_bytes_max) perfect = false;
      for (size_t k = 0; k < name.size(); ++k) {
        bool upper = name[k] >= 'A' && name[k] <= 'Z', lower = name[k] >= 'a' && name[k] <= 'z';
        names[i].fold[k] = upper || lower ? 0x20 : 0;
        names[i].text[k] = static_cast<char>(name[k] | names[i].fold[k]);
      }
      uint8_t& slot = at[hash_of(name)];
      if (slot != 0) perfect = false;
      slot = static_cast<uint8_t>(i);
    }
  }
};
constexpr Table table;
static_assert(table.perfect);
static_assert(known_header_count < 255);

template <class Word>
bool same_word(const char* name, const Name& known, size_t at) {
  Word left, fold, right;
  std::memcpy(&left, name + at, sizeof(Word));
  std::memcpy(&fold, known.fold + at, sizeof(Word));
  std::memcpy(&right, known.text + at, sizeof(Word));
  return (left | fold) == right;
}

// Words from the front, and one that overlaps them at the end.
bool same(std::string_view name, const Name& known) {
  size_t size = name.size();
  const char* text = name.data();
  if (size >= 8) {
    for (size_t at = 0; at + 8 < size; at += 8) {
      if (!same_word<uint64_t>(text, known, at)) return false;
    }
    return same_word<uint64_t>(text, known, size - 8);
  }
  if (size >= 4) return same_word<uint32_t>(text, known, 0) && same_word<uint32_t>(text, known, size - 4);
  for (size_t at = 0; at < size; ++at) {
    if (!same_word<uint8_t>(text, known, at)) return false;
  }
  return true;
}

}  // namespace

KnownHeader find_known_header(std::string_view name) {
  if (name.empty() || name.size() > name_bytes_max) return KnownHeader::other;
  unsigned at = table.at[hash_of(name)];
  if (at == 0 || spellings[at].size() != name.size() || !same(name, table.names[at])) return KnownHeader::other;
  return static_cast<KnownHeader>(at);
}

std::string_view header_name(KnownHeader known) { return spellings[static_cast<unsigned>(known)]; }

}  // namespace fairlead::http
