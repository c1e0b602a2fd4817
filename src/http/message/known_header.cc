// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/known_header.h"

#include "http/message/known_header_table.h"

namespace fairlead::http {

static constexpr std::string_view spellings[known_header_count] = {
    "",
#define FL_HEADER_TEXT(identifier, spelling) spelling,
    FL_KNOWN_HEADERS(FL_HEADER_TEXT)
#undef FL_HEADER_TEXT
};

namespace known_header {

constexpr Table table(spellings);
static_assert(table.perfect);
static_assert(known_header_count < 255);

bool same_middle(std::string_view name, const NameText& known) {
  for (size_t at = 8; at + 8 < name.size(); at += 8) {
    uint64_t fold = word_at<uint64_t>(known.fold + at);
    if ((word_at<uint64_t>(name.data() + at) | fold) != word_at<uint64_t>(known.text + at)) return false;
  }
  return true;
}

}  // namespace known_header

KnownHeader find_known_header(std::string_view name) { return known_header::find(name); }

std::string_view header_name(KnownHeader known) { return spellings[static_cast<unsigned>(known)]; }

}  // namespace fairlead::http
