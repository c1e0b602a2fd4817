// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/accept.h"

#include "core/base/text.h"

namespace fairlead::http {

// qvalue of RFC 9110 section 12.4.2, above zero.
static bool is_positive_quality(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return false;
  if (text.size() > 1 && text[1] != '.') return false;
  bool fraction = false;
  for (char digit : text.substr(text.size() > 1 ? 2 : 1)) {
    if (!is_digit(digit)) return false;
    fraction |= digit != '0';
  }
  return text[0] == '1' ? !fraction : fraction;
}

static bool is_accepted(std::string_view parameters) {
  Splitter parts(parameters, ';');
  std::string_view part;
  while (parts.trimmed().next(part)) {
    size_t equals = part.find('=');
    if (equals == std::string_view::npos || !equal_nocase(trim(part.substr(0, equals)), "q")) continue;
    return is_positive_quality(trim(part.substr(equals + 1)));
  }
  return true;
}

bool accepts_gzip(std::string_view accept_encoding) {
  Splitter codings(accept_encoding, ',');
  std::string_view coding;
  while (codings.trimmed().next(coding)) {
    size_t end = coding.find(';');
    if (!equal_nocase(trim(coding.substr(0, end)), "gzip")) continue;
    return end == std::string_view::npos || is_accepted(coding.substr(end + 1));
  }
  return false;
}

}  // namespace fairlead::http
