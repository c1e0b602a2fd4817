// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Patterns: several texts looked for at once, ASCII case ignored. Pure: bytes in, places out; what is put in their place is not known here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead::http_sub {

class Patterns {
 public:
  // A text that is to be found, not empty. Of two that begin at one place the one added first counts.
  void add(std::string_view text);
  // After the last add(), before the first find().
  void finish();
  bool empty() const { return texts_.empty(); }
  size_t size() const { return texts_.size(); }

  struct Found {
    enum class Kind : uint8_t {
      none,     // nothing here, and nothing that begins at `at` or before it: at is the text's size
      match,    // pattern `index` at `at`
      partial,  // at `at` begins what may be one: more bytes decide
    } kind = Kind::none;
    size_t at = 0;
    size_t index = 0;
  };
  // The first place at or behind `from`. Patterns whose place in `used` is true are not looked for; an empty `used` is all false.
  Found find(std::string_view text, size_t from, const std::vector<bool>& used) const;
  size_t bytes_of(size_t index) const { return texts_[index].size(); }

 private:
  Found at_place(std::string_view text, size_t at, const std::vector<bool>& used) const;

  std::vector<std::string> texts_;  // lower case
  size_t least_ = 0;                // bytes of the shortest
  uint8_t shift_[256] = {};         // by the byte `least_ - 1` behind a place: how far the next possible place is at least
};

}  // namespace fairlead::http_sub
