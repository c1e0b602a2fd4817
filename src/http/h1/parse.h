// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// HTTP/1 bytes to heads (RFC 9112). A parser is given the whole head so far, in one piece, each time more has arrived, and goes on
// where it stopped: feeding a head whole, byte by byte or in any pieces gives the same result. The buffer may move between calls. It
// reads no body, waits for nothing and owns nothing: fields go to the head it was made with, views point into the buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/h1/field_line.h"
#include "http/message/head_rules.h"
#include "http/message/message.h"

namespace fairlead::http::h1 {

enum class ParseResult : uint8_t {
  need_more,  // every byte so far is part of a head that is not complete
  done,       // the head is filled in; consumed() bytes were its own, the body begins there
  failed,     // see error(); the connection cannot be used further
  no_header,  // responses only: no status line, so all bytes are an HTTP/0.9 body
};

using http::HeadRules;
using ParseError = HeadFault;

// The bytes of a head that a RequestParser filled in, from its request line to its empty line, as far as they came. They lie where its
// views point. Empty for heads that did not come like this (HTTP/2).
std::string_view received_head(const RequestHead& head);

class RequestParser {
 public:
  // `head` is empty; it and its arena outlive the parser's last call. `hosts` (nullptr: nobody): who is asked for the rules that hold from
  // where on the head says its host, as in nginx; until then they are `rules`.
  RequestParser(RequestHead& head, const HeadRules& rules, const HostRules* hosts = nullptr) : head_(head), rules_(&rules), hosts_(hosts) {}

  // `buffer` begins with the bytes of the previous call, wherever they lie now. After `done` and `failed` gives the same again.
  ParseResult parse(std::string_view buffer);

  // For the log of a head that failed or of which no more comes: fills in what is known, the request line as far as it goes and, if it
  // is complete, what it and the fields so far say. `buffer` as for parse(); nothing is parsed any more after it.
  void describe(std::string_view buffer);

  size_t consumed() const { return line_at_; }
  const ParseError& error() const { return error_; }
  // Those that hold for what comes next.
  const HeadRules& rules() const { return *rules_; }
  // Whether something other than empty lines has arrived: until then the connection is idle.
  bool started() const { return stage_ != Stage::empty_lines; }
  // Whether the request line is complete: a head too large for its buffers is 414 before, 494 after.
  bool has_request_line() const { return stage_ >= Stage::fields; }

 private:
  enum class Stage : uint8_t { empty_lines, request_line, fields, done, failed };

  bool skip_empty_lines(std::string_view buffer);
  bool take_usual_line(std::string_view buffer);
  bool read_request_line(std::string_view buffer);
  bool end_request_line(std::string_view buffer, const char* at);
  void read_fields(std::string_view buffer);
  bool read_any_line(std::string_view buffer);
  bool judge_name(const FieldLine& line);
  bool keep_field(const FieldLine& line);
  void enter_host(std::string_view authority);
  void keep_request_line();
  bool finish();
  bool finish_target();
  bool finish_absolute();
  bool finish_host();
  bool finish_framing();
  // All give false, so that a step can end with `return`.
  bool more(size_t stop);
  bool fail(size_t stop, uint16_t status, const char* what, std::string_view detail = {});
  bool give_up(HeadFault fault);
  std::string_view twice(std::string_view name, std::string_view value, const Headers::Field& before);
  bool within_limits(size_t stop);

  RequestHead& head_;
  const HeadRules* rules_;
  const HostRules* hosts_;  // nullptr once the host was met
  ParseError error_;
  const char* base_ = nullptr;
  size_t line_at_ = 0;  // where the line in work begins
  size_t scanned_ = 0;  // its bytes before this were found to be harmless
  uint32_t line_start_ = 0, method_bytes_ = 0, target_at_ = 0, target_bytes_ = 0, protocol_at_ = 0, protocol_bytes_ = 0;
  uint32_t request_line_bytes_ = 0;
  uint32_t lines_ = 0;
  Headers* dropped_ = nullptr;  // the head's
  Stage stage_ = Stage::empty_lines;
};

class ResponseParser {
 public:
  // `head` is empty; it and its arena outlive the parser's last call. The caller limits the size of the buffer.
  explicit ResponseParser(ResponseHead& head) : head_(head) {}

  // As RequestParser::parse. An interim response (1xx) is a head of its own: a new parser reads the next one.
  ParseResult parse(std::string_view buffer);

  size_t consumed() const { return line_at_; }
  const ParseError& error() const { return error_; }
  // Once the head is done: the first line, its end included, that was left out of the fields, as its name is no token. Empty: none was.
  std::string_view left_out() const { return {base_ + left_out_at_, left_out_bytes_}; }

 private:
  enum class Stage : uint8_t { status_line, fields, done, failed, no_header };

  bool read_status_line(std::string_view buffer);
  bool take_usual_status_line();
  bool end_status_line(std::string_view buffer, const char* at);
  void read_fields(std::string_view buffer);
  bool read_any_line(std::string_view buffer);
  bool keep_field(const FieldLine& line);
  bool finish();
  bool fail(const char* what, std::string_view detail = {});
  bool no_header();

  ResponseHead& head_;
  ParseError error_;
  const char* base_ = nullptr;
  size_t line_at_ = 0;
  size_t scanned_ = 0;
  size_t reason_at_ = 0, reason_bytes_ = 0, status_line_bytes_ = 0;
  uint32_t left_out_at_ = 0, left_out_bytes_ = 0;
  Stage stage_ = Stage::status_line;
};

// The trailer section of a chunked body, from the byte behind the last chunk's line to the empty line, both CRLF-strict. Adds the
// fields to `trailers`, without those that would change framing, routing or authentication (RFC 9110 section 6.5.1). False if malformed
// or more than `fields_max`.
bool parse_trailers(std::string_view section, Trailers& trailers, uint32_t fields_max);

}  // namespace fairlead::http::h1
