// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// FieldList: the fields of a head or trailer section on their way into a frame. Views only: the texts must live until the list was
// submitted, which copies them (names in lower case).
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace fairlead::http::h2 {

class FieldList {
 public:
  FieldList() = default;
  FieldList(const FieldList&) = delete;
  FieldList& operator=(const FieldList&) = delete;

  // `secret`: never kept in a compression table (RFC 7541 section 7.1.3).
  void add(std::string_view name, std::string_view value, bool secret = false) {
    nghttp2_nv field{bytes_of(name), bytes_of(value), name.size(), value.size(),
                     static_cast<uint8_t>(secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)};
    if (more_.empty() && size_ < inline_count) {
      inline_[size_++] = field;
      return;
    }
    if (more_.empty()) more_.assign(inline_, inline_ + size_);
    more_.push_back(field);
    ++size_;
  }
  const nghttp2_nv* begin() const { return more_.empty() ? inline_ : more_.data(); }
  size_t size() const { return size_; }

 private:
  static uint8_t* bytes_of(std::string_view text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); }
  static constexpr size_t inline_count = 32;
  nghttp2_nv inline_[inline_count];
  std::vector<nghttp2_nv> more_;
  size_t size_ = 0;
};

}  // namespace fairlead::http::h2
