// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The byte classes of HTTP heads, and searches for the first byte that ends a run, sixteen at a time where SSE2 exists. What a run
// means is the parsers' matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

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
  }
};
inline constexpr ByteClasses byte_classes;

constexpr unsigned class_of(char byte) { return byte_classes.of[static_cast<uint8_t>(byte)]; }
constexpr bool is_token_byte(char byte) { return (class_of(byte) & (name_plain | name_underscore | name_token)) != 0; }
constexpr bool is_control(char byte) { return static_cast<uint8_t>(byte) < 0x20 || byte == 0x7f; }

// The first control character other than HTAB, or `end`.
inline const char* find_control(const char* at, const char* end) {
#if defined(__SSE2__)
  const __m128i high = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f), tab = _mm_set1_epi8('\t');
  for (; end - at >= 16; at += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, high), bytes);  // unsigned <= 0x1f
    __m128i hits = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low), _mm_cmpeq_epi8(bytes, del));
    int mask = _mm_movemask_epi8(hits);
    if (mask != 0) return at + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  while (at < end && (!is_control(*at) || *at == '\t')) ++at;
  return at;
}

// The first control character or space, or `end`.
inline const char* find_blank_or_control(const char* at, const char* end) {
#if defined(__SSE2__)
  const __m128i high = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f);
  for (; end - at >= 16; at += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(bytes, high), bytes), _mm_cmpeq_epi8(bytes, del));
    int mask = _mm_movemask_epi8(hits);
    if (mask != 0) return at + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  while (at < end && !is_control(*at) && *at != ' ') ++at;
  return at;
}

// The first byte that can be in no header name, however lenient one is (control, space, colon), or `end`: those of class 0.
inline const char* find_name_end(const char* at, const char* end) {
#if defined(__SSE2__)
  const __m128i high = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f), colon = _mm_set1_epi8(':');
  for (; end - at >= 16; at += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, high), bytes);
    __m128i hits = _mm_or_si128(low, _mm_or_si128(_mm_cmpeq_epi8(bytes, del), _mm_cmpeq_epi8(bytes, colon)));
    int mask = _mm_movemask_epi8(hits);
    if (mask != 0) return at + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  while (at < end && class_of(*at) != 0) ++at;
  return at;
}

}  // namespace fairlead::http::scan
