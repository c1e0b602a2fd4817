// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// gRPC-Web to gRPC and back: browsers see no trailers, so they come as a last frame of the body, and some clients send and take base64.
// Bodies that translate as they are pulled; they lie in the request's arena and what they read from outlives them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message/body.h"
#include "http/message/headers.h"
#include "http/message/memory_source.h"

namespace fairlead::http::grpc {

enum class WebKind : uint8_t { none, binary, text };
// Of a Content-Type: "application/grpc-web", "application/grpc-web-text", each perhaps with "+proto".
WebKind web_kind_of(std::string_view content_type);
// The type of the same call in the other protocol; in `arena`.
std::string_view grpc_type_of(std::string_view web_type, Arena& arena);
std::string_view web_type_of(std::string_view grpc_type, WebKind kind, Arena& arena);

// Base64 in any pieces, each perhaps padded, to bytes.
class Base64Decoder {
 public:
  // Appends to `out`. False: not base64.
  bool decode(std::string_view text, std::string& out);
  // Nothing of a group is left over.
  bool is_whole() const { return count_ == 0; }

 private:
  char group_[4];
  unsigned count_ = 0;  // characters of the group in work
};

// The body of a request in base64 as bytes. Malformed: failed, with side client.
class DecodedBody final : public Body {
 public:
  explicit DecodedBody(Body& source) : source_(source) {}  // may be spooled to a file
  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  Error error() const override {
    return malformed_ ? Error{Fault::malformed, Side::client, 0, "client sent invalid base64"} : source_.error();
  }

 private:
  MemorySource source_;
  Base64Decoder decoder_;
  bool malformed_ = false;
};

// The body of a reply with its trailers as a last frame, in base64 if `kind` is text.
class WebBody final : public Body {
 public:
  WebBody(Body& source, WebKind kind) : source_(source), kind_(kind) {}
  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  Error error() const override { return source_.error(); }

 private:
  void give(Chunk& chunk, std::string_view bytes);
  MemorySource source_;
  WebKind kind_;
  bool ended_ = false;
};

// A frame of flag 0x80 with the fields as HTTP/1 lines, names in lower case.
std::string trailer_frame(const Headers& trailers);

}  // namespace fairlead::http::grpc
