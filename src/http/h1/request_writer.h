// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// RequestWriter: the head of an HTTP/1 request as bytes, in the order of its calls. Has the same calls as h2::RequestWriter, so that a
// module writes its fields once (as a template) for both. Checks nothing: values that came from outside pass is_field_value() first.
#pragma once

#include <string_view>

#include "core/base/buffer.h"

namespace fairlead::http::h1 {

class RequestWriter {
 public:
  // Appends to `head`. `version`: "HTTP/1.1".
  RequestWriter(Chain& head, std::string_view method, std::string_view uri, std::string_view version) : to_(head, segment_bytes) {
    to_.write(method);
    to_.write(' ');
    to_.write(uri);
    to_.write(' ');
    to_.write(version);
    to_.write("\r\n");
  }
  void field(std::string_view name, std::string_view value) {
    to_.write(name);
    to_.write(": ");
    to_.write(value);
    to_.write("\r\n");
  }
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
