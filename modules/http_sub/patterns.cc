// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_sub/patterns.h"

#include <algorithm>

#include "core/base/text.h"

namespace fairlead::http_sub {

void Patterns::add(std::string_view text) {
  std::string& lowered = texts_.emplace_back(text);
  lower_into(lowered.data(), lowered);
}

// Horspool's table over the first `least_` bytes of all patterns.
void Patterns::finish() {
  if (texts_.empty()) return;
  least_ = texts_[0].size();
  for (const std::string& text : texts_) least_ = std::min(least_, text.size());
  least_ = std::min<size_t>(least_, UINT8_MAX);
  std::fill(std::begin(shift_), std::end(shift_), static_cast<uint8_t>(least_));
  for (const std::string& text : texts_) {
    for (size_t i = 0; i < least_; ++i) {
      uint8_t& shift = shift_[static_cast<unsigned char>(text[i])];
      shift = std::min(shift, static_cast<uint8_t>(least_ - 1 - i));
    }
  }
}

Patterns::Found Patterns::at_place(std::string_view text, size_t at, const std::vector<bool>& used) const {
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (!used.empty() && used[i]) continue;
    const std::string& wanted = texts_[i];
    size_t there = std::min(wanted.size(), text.size() - at), same = 0;
    while (same < there && lower(text[at + same]) == wanted[same]) ++same;
    if (same == wanted.size()) return {Found::Kind::match, at, i};
    if (same == there && there < wanted.size()) return {Found::Kind::partial, at, i};
  }
  return {};
}

Patterns::Found Patterns::find(std::string_view text, size_t from, const std::vector<bool>& used) const {
  size_t at = from;
  while (at + least_ <= text.size()) {
    uint8_t shift = shift_[static_cast<unsigned char>(lower(text[at + least_ - 1]))];
    if (shift > 0) {
      at += shift;
      continue;
    }
    Found found = at_place(text, at, used);
    if (found.kind != Found::Kind::none) return found;
    ++at;
  }
  for (; at < text.size(); ++at) {  // too near the end for a whole pattern
    Found found = at_place(text, at, used);
    if (found.kind != Found::Kind::none) return found;
  }
  return {Found::Kind::none, text.size(), 0};
}

}  // namespace fairlead::http_sub
