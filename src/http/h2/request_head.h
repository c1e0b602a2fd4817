// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HeadReader: the fields of an HTTP/2 request, one by one, become a RequestHead (RFC 9113 section 8.3). nghttp2 checks no messages of
// clients: a malformed one is answered with a status, which its own reset would not leave room for. Plain; knows no stream.
#pragma once

#include "http/message/head_rules.h"
#include "http/message/message.h"

namespace fairlead::http::h2 {

// Whether a message with this field, which is no pseudo-header, is malformed (RFC 9113 section 8.2.1): by the value or by bytes that no
// name may hold. Of other names that are no tokens (RFC 9110 section 5.1) the configuration decides, as in HTTP/1.
bool is_malformed(std::string_view name, std::string_view value);

class HeadReader {
 public:
  // `head` is empty; all outlive the reader. `hosts` (nullptr: nobody): who is asked for the rules behind the host, as in HTTP/1.
  HeadReader(RequestHead& head, const HeadRules& rules, const HostRules* hosts = nullptr) : head_(head), rules_(&rules), hosts_(hosts) {}

  // Texts are copied into the arena of the head's fields. What comes behind a fault is dropped.
  void take(std::string_view name, std::string_view value);
  // The head is complete; `has_body`: something follows. False: fault(). What there is of the head can be logged then.
  bool finish(bool has_body);
  // status 0: none.
  const HeadFault& fault() const { return fault_; }
  // The fault makes the request malformed (RFC 9113 section 8.1.1): a stream error, beside the status.
  bool is_malformed() const { return malformed_; }

 private:
  bool take_pseudo(std::string_view name, std::string_view value);
  bool keep_pseudo(unsigned which, std::string_view value);
  void enter_host(std::string_view authority);
  bool keep_name(std::string_view name, std::string_view value);
  void drop(std::string_view name, std::string_view value);
  bool finish_pseudo();
  bool finish_target();
  bool finish_host();
  bool finish_framing(bool has_body);
  bool finish_websocket();
  void name_request_line();
  bool fail(uint16_t status, const char* what, std::string_view detail = {});
  bool fail_malformed(const char* what, std::string_view detail = {});
  Arena& arena() { return head_.headers.arena(); }

  RequestHead& head_;
  const HeadRules* rules_;
  const HostRules* hosts_;  // nullptr once the host was met
  HeadFault fault_;
  bool malformed_ = false;
  uint8_t seen_ = 0;            // which pseudo-headers, and whether another field
  Headers* dropped_ = nullptr;  // the head's
  std::string_view authority_;
  std::string_view protocol_;  // of an extended CONNECT
  uint32_t lines_ = 0;
  size_t bytes_ = 0;  // names and values
};

}  // namespace fairlead::http::h2
