// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// RequestWriter: the head of an HTTP/1 request as bytes, in the order of its calls. Has the same calls as h2::RequestWriter, so that a
// module writes its fields once (as a template) for both. Checks nothing: values that came from outside pass is_field_value() first.
#pragma once

#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>

#include "core/base/arena.h"
#include "core/base/buffer.h"

namespace fairlead::http::h1 {

class RequestWriter {
 public:
  // Its bytes lie in `arena`, which outlives `head`. `version`: "HTTP/1.1".
  RequestWriter(Arena& arena, Chain& head, std::string_view method, std::string_view uri, std::string_view version)
      : arena_(arena), head_(head) {
    size_t line_bytes = method.size() + uri.size() + version.size() + 4;
    begin_ = at_ = end_ = static_cast<char*>(arena.allocate(line_bytes + usual_bytes, 1));
    end_ += line_bytes + usual_bytes;
    at_ = append_bytes(at_, method);
    *at_++ = ' ';
    at_ = append_bytes(at_, uri);
    *at_++ = ' ';
    at_ = append_bytes(at_, version);
    at_ = append_bytes(at_, "\r\n");
  }
  RequestWriter(const RequestWriter&) = delete;
  RequestWriter& operator=(const RequestWriter&) = delete;
  void field(std::string_view name, std::string_view value) {
    need(name.size() + value.size() + 4);
    at_ = append_bytes(at_, name);
    *at_++ = ':';
    *at_++ = ' ';
    at_ = append_bytes(at_, value);
    *at_++ = '\r';
    *at_++ = '\n';
  }
  // Fields that are known when a configuration is loaded: `text` is how they stand in a head, line ends included.
  void literals(std::string_view text, std::span<const std::pair<std::string_view, std::string_view>>) {
    need(text.size());
    at_ = append_bytes(at_, text);
  }
  void field(std::string_view name, uint64_t value) {
    char digits[20];
    char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    field(name, std::string_view(digits, static_cast<size_t>(end - digits)));
  }
  // The last call: hands the head over.
  void end() {
    need(2);
    at_ = append_bytes(at_, "\r\n");
    arena_.give_back(at_, end_);
    head_.push_back(Slice({begin_, static_cast<size_t>(at_ - begin_)}));
  }

 private:
  static constexpr size_t usual_bytes = 480;  // what the fields of most heads take

  void need(size_t bytes) {
    if (bytes > static_cast<size_t>(end_ - at_)) [[unlikely]] move(bytes);
  }
  // To twice the room, and at least what `bytes` more need.
  [[gnu::noinline]] void move(size_t bytes) {
    size_t used = static_cast<size_t>(at_ - begin_), room = std::max(static_cast<size_t>(end_ - begin_) * 2, used + bytes);
    char* to = static_cast<char*>(arena_.allocate(room, 1));
    std::memcpy(to, begin_, used);
    begin_ = to;
    at_ = to + used;
    end_ = to + room;
  }

  Arena& arena_;
  Chain& head_;
  char *begin_, *at_, *end_;
};

}  // namespace fairlead::http::h1
