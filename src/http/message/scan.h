// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The byte classes of HTTP heads, and searches for the first byte that ends a run, sixteen at a time where SSE2 exists. What a run
// means is the parsers' matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace fairlead::http::scan {

enum ByteClass : uint8_t {
  name_plain = 1,       // letters, digits, '-': in any header name
  name_underscore = 2,  // '_'
  name_token = 4,       // the other token characters of RFC 9110 section 5.6.2
  name_foreign = 8,     // visible or over 0x7f, but in no token
  method_byte = 16,     // A-Z _ -
  host_byte = 32,       // reg-name of RFC 3986 section 3.2.2, without '%'
  upper_case = 64,      // A-Z
  dot = 128,            // '.'
};

struct ByteClasses {
  uint8_t of[256] = {};
  constexpr ByteClasses() {
    for (unsigned byte = 0x21; byte < 256; ++byte) {
      if (byte != 0x7f && byte != ':') of[byte] = name_foreign;
    }
    for (char byte : std::string_view("!#$%&'*+.^`|~")) of[static_cast<uint8_t>(byte)] = name_token;
    of[static_cast<uint8_t>('_')] = name_underscore | method_byte | host_byte;
    of[static_cast<uint8_t>('-')] = name_plain | method_byte | host_byte;
    for (unsigned byte = '0'; byte <= '9'; ++byte) of[byte] = name_plain | host_byte;
    for (unsigned byte = 'a'; byte <= 'z'; ++byte) of[byte] = name_plain | host_byte;
    for (unsigned byte = 'A'; byte <= 'Z'; ++byte) of[byte] = name_plain | method_byte | host_byte | upper_case;
    for (char byte : std::string_view(".~!$&'()*+,;=")) of[static_cast<uint8_t>(byte)] |= host_byte;
    of[static_cast<uint8_t>('.')] |= dot;
  }
};
inline constexpr ByteClasses byte_classes;

constexpr unsigned class_of(char byte) { return byte_classes.of[static_cast<uint8_t>(byte)]; }
constexpr bool is_token_byte(char byte) { return (class_of(byte) & (name_plain | name_underscore | name_token)) != 0; }
constexpr bool is_control(char byte) { return static_cast<uint8_t>(byte) < 0x20 || byte == 0x7f; }

namespace detail {

#if defined(__SSE2__)
using Bytes = __m128i;
inline Bytes load(const char* at) { return _mm_loadu_si128(reinterpret_cast<const Bytes*>(at)); }
inline Bytes all(char byte) { return _mm_set1_epi8(byte); }
inline Bytes up_to(Bytes bytes, char most) { return _mm_cmpeq_epi8(_mm_min_epu8(bytes, all(most)), bytes); }  // unsigned
inline Bytes equal(Bytes bytes, char byte) { return _mm_cmpeq_epi8(bytes, all(byte)); }
inline unsigned first_of(unsigned hits) { return static_cast<unsigned>(__builtin_ctz(hits)); }  // of at least one
#endif

// The first byte of [at, end) that `wanted` says yes to, or `end`. Its `in` says it of sixteen at once, as a byte of ones each. The last
// step of a run looks at bytes before it again rather than at one after the other: `base`, not behind `at`, is where the memory begins.
template <class Wanted>
[[gnu::always_inline]] inline const char* find(const char* base, const char* at, const char* end, Wanted wanted) {
#if defined(__SSE2__)
  if (end - base >= 16) {
    const char* last = end - 16;
    for (; at <= last; at += 16) {
      unsigned hits = static_cast<unsigned>(_mm_movemask_epi8(wanted.in(load(at))));
      if (hits != 0) return at + first_of(hits);
    }
    unsigned hits = static_cast<unsigned>(_mm_movemask_epi8(wanted.in(load(last)))) >> (at - last);
    return hits != 0 ? at + first_of(hits) : end;
  }
#endif
  while (at < end && !wanted(*at)) ++at;
  return at;
}

struct Control {  // but HTAB
  bool operator()(char byte) const { return is_control(byte) && byte != '\t'; }
#if defined(__SSE2__)
  Bytes in(Bytes bytes) const {
    return _mm_or_si128(_mm_andnot_si128(equal(bytes, '\t'), up_to(bytes, 0x1f)), equal(bytes, 0x7f));
  }
#endif
};

struct BlankOrControl {
  bool operator()(char byte) const { return is_control(byte) || byte == ' '; }
#if defined(__SSE2__)
  Bytes in(Bytes bytes) const { return _mm_or_si128(up_to(bytes, ' '), equal(bytes, 0x7f)); }
#endif
};

struct Unprintable {
  bool operator()(char byte) const { return byte < ' ' || byte > '~'; }
#if defined(__SSE2__)
  Bytes in(Bytes bytes) const { return _mm_cmpgt_epi8(all(' ' + 1), _mm_add_epi8(bytes, all(1))); }  // signed: 0x7f wraps, 0x80 is below
#endif
};

struct NameEnd {
  bool operator()(char byte) const { return class_of(byte) == 0; }
#if defined(__SSE2__)
  Bytes in(Bytes bytes) const { return _mm_or_si128(_mm_or_si128(up_to(bytes, ' '), equal(bytes, 0x7f)), equal(bytes, ':')); }
#endif
};

struct Colon {
  bool operator()(char byte) const { return byte == ':'; }
#if defined(__SSE2__)
  Bytes in(Bytes bytes) const { return equal(bytes, ':'); }
#endif
};

}  // namespace detail

// Whether `literal` stands at `at`, where as many bytes can be read: by words, the last of which overlaps the one before it, in place of a
// call of memcmp().
template <size_t with_zero>
inline bool is_at(const char* at, const char (&literal)[with_zero]) {
  constexpr size_t size = with_zero - 1;
  using Word = std::conditional_t<size >= 8, uint64_t, uint32_t>;
  static_assert(size >= sizeof(Word));
  auto differs = [&](size_t offset) {
    Word own, other;
    std::memcpy(&own, literal + offset, sizeof own);
    std::memcpy(&other, at + offset, sizeof other);
    return own ^ other;
  };
  Word difference = differs(size - sizeof(Word));
  for (size_t offset = 0; offset + sizeof(Word) < size; offset += sizeof(Word)) difference |= differs(offset);
  return difference == 0;
}

// All give `end` if there is none. `base`: where the readable bytes begin, at or before `at`.

// The first control character other than HTAB.
inline const char* find_control(const char* base, const char* at, const char* end) {
  return detail::find(base, at, end, detail::Control());
}

// The first control character or space.
inline const char* find_blank_or_control(const char* base, const char* at, const char* end) {
  return detail::find(base, at, end, detail::BlankOrControl());
}

// The first byte that is neither a space nor a visible character of ASCII.
inline const char* find_unprintable(const char* base, const char* at, const char* end) {
  return detail::find(base, at, end, detail::Unprintable());
}

// The first byte that can be in no header name, however lenient one is (control, space, colon): those of class 0.
inline const char* find_name_end(const char* base, const char* at, const char* end) {
  return detail::find(base, at, end, detail::NameEnd());
}

// Whether there is a control character other than HTAB. What fields hold is often shorter than sixteen bytes.
inline bool has_control(std::string_view text) {
  const char *at = text.data(), *end = at + text.size();
#if defined(__SSE2__)
  auto word = [](const char* from) { return _mm_loadl_epi64(reinterpret_cast<const detail::Bytes*>(from)); };
  if (text.size() >= 8 && text.size() < 16)  // the first eight and the last eight, which may overlap
    return _mm_movemask_epi8(detail::Control().in(_mm_unpacklo_epi64(word(at), word(end - 8)))) != 0;
#endif
  return find_control(at, at, end) != end;
}

#if defined(__SSE2__)
// Whether `is_plain` says so of all of it, of sixteen bytes at a time. The pieces overlap by a byte at least, so each two bytes that follow
// one another lie together in one of them; of a short text a piece holds some twice. Not for less than four bytes.
template <class Plain>
[[gnu::always_inline]] inline bool is_plain_throughout(std::string_view text, Plain is_plain) {
  const char *at = text.data(), *end = at + text.size();
  auto word = [](const char* from) { return _mm_loadl_epi64(reinterpret_cast<const detail::Bytes*>(from)); };
  if (text.size() < 8) {
    uint32_t first, last;
    std::memcpy(&first, at, sizeof first);
    std::memcpy(&last, end - sizeof last, sizeof last);
    return is_plain(_mm_set1_epi64x(static_cast<long long>(uint64_t{last} << 32 | first)));
  }
  if (text.size() < 16) return is_plain(_mm_unpacklo_epi64(word(at), word(end - 8)));
  for (; end - at > 16; at += 15) {
    if (!is_plain(detail::load(at))) return false;
  }
  return is_plain(detail::load(end - 16));
}
#endif

// The three below: false says nothing. Texts of less than four bytes are not looked at.

// Whether there is nothing but lower-case letters, digits, '-' and single dots: a name as nearly every Host is.
inline bool is_plain_host([[maybe_unused]] std::string_view text) {
#if defined(__SSE2__)
  using namespace detail;
  return text.size() >= 4 && is_plain_throughout(text, [](Bytes bytes) {
    Bytes letter = up_to(_mm_sub_epi8(bytes, all('a')), 'z' - 'a'), digit = up_to(_mm_sub_epi8(bytes, all('0')), '9' - '0');
    Bytes dash = equal(bytes, '-'), dot = equal(bytes, '.');
    Bytes dots = _mm_and_si128(dot, _mm_srli_si128(dot, 1));  // and the next one
    Bytes plain = _mm_or_si128(_mm_or_si128(letter, digit), _mm_or_si128(dash, dot));
    return _mm_movemask_epi8(_mm_andnot_si128(dots, plain)) == 0xffff;
  });
#else
  return false;
#endif
}

// Whether there is nothing but letters, digits and '-': a name as nearly every field has.
inline bool is_plain_name([[maybe_unused]] std::string_view text) {
#if defined(__SSE2__)
  using namespace detail;
  return text.size() >= 4 && is_plain_throughout(text, [](Bytes bytes) {
    Bytes letter = up_to(_mm_sub_epi8(_mm_or_si128(bytes, all(0x20)), all('a')), 'z' - 'a');
    Bytes digit = up_to(_mm_sub_epi8(bytes, all('0')), '9' - '0');
    return _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letter, digit), equal(bytes, '-'))) == 0xffff;
  });
#else
  return false;
#endif
}

// Whether a target is a path and nothing else, and is what normalising it would make of it: no '%', '?', '#' or NUL, and behind a slash no
// dot nor, with `merges_slashes`, another slash.
inline bool is_plain_path([[maybe_unused]] std::string_view text, [[maybe_unused]] bool merges_slashes) {
#if defined(__SSE2__)
  using namespace detail;
  return text.size() >= 4 && is_plain_throughout(text, [merges_slashes](Bytes bytes) {
    Bytes slash = equal(bytes, '/'), dot = equal(bytes, '.');
    Bytes next = _mm_srli_si128(merges_slashes ? _mm_or_si128(dot, slash) : dot, 1);
    Bytes ends = _mm_or_si128(_mm_or_si128(equal(bytes, '?'), equal(bytes, '#')), _mm_or_si128(equal(bytes, '%'), equal(bytes, 0)));
    return _mm_movemask_epi8(_mm_or_si128(_mm_and_si128(slash, next), ends)) == 0;
  });
#else
  return false;
#endif
}

// The first colon.
inline const char* find_colon(const char* base, const char* at, const char* end) { return detail::find(base, at, end, detail::Colon()); }

}  // namespace fairlead::http::scan
