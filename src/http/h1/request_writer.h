// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// RequestWriter: the head of an HTTP/1 request as bytes, in the order of its calls. Has the same calls as h2::RequestWriter, so that a
// module writes its fields once (as a template) for both. Checks nothing: values that came from outside pass is_field_value() first.
#pragma once

#include <span>
#include <string_view>
#include <utility>

#include "core/base/buffer.h"

namespace fairlead::http::h1 {

class RequestWriter {
 public:
  // Appends to `head`. `version`: "HTTP/1.1".
  RequestWriter(Chain& head, std::string_view method, std::string_view uri, std::string_view version) : to_(head, segment_bytes) {
    char* begin = to_.reserve(method.size() + uri.size() + version.size() + 4);
    char* at = append_bytes(begin, method);
    *at++ = ' ';
    at = append_bytes(at, uri);
    *at++ = ' ';
    at = append_bytes(at, version);
    at = append_bytes(at, "\r\n");
    to_.advance(static_cast<size_t>(at - begin));
  }
  void field(std::string_view name, std::string_view value) {
    char* begin = to_.reserve(name.size() + value.size() + 4);
    char* at = append_bytes(begin, name);
    *at++ = ':';
    *at++ = ' ';
    at = append_bytes(at, value);
    *at++ = '\r';
    *at++ = '\n';
    to_.advance(static_cast<size_t>(at - begin));
  }
  // Fields that are known when a configuration is loaded: `text` is how they stand in a head, line ends included.
  void literals(std::string_view text, std::span<const std::pair<std::string_view, std::string_view>>) { to_.write(text); }
  void field(std::string_view name, uint64_t value) {
    to_.write(name);
    to_.write(": ");
    to_.write_decimal(value);
    to_.write("\r\n");
  }
  void end() { to_.write("\r\n"); }

 private:
  static constexpr size_t segment_bytes = 1024;  // holds most heads
  ChainWriter to_;
};

}  // namespace fairlead::http::h1
