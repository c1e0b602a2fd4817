// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_grpc/web.h"

#include "core/base/encoding.h"
#include "core/base/text.h"

namespace fairlead::http::grpc {

static constexpr std::string_view grpc_name = "application/grpc";
static constexpr std::string_view web_name = "application/grpc-web", text_name = "application/grpc-web-text";

static bool is_type(std::string_view content_type, std::string_view name) {
  if (!starts_with_nocase(content_type, name)) return false;
  return content_type.size() == name.size() || content_type[name.size()] == '+' || content_type[name.size()] == ';';
}

WebKind web_kind_of(std::string_view content_type) {
  if (is_type(content_type, text_name)) return WebKind::text;
  return is_type(content_type, web_name) ? WebKind::binary : WebKind::none;
}

std::string_view grpc_type_of(std::string_view web_type, Arena& arena) {
  size_t name = web_kind_of(web_type) == WebKind::text ? text_name.size() : web_name.size();
  return arena.join({grpc_name, web_type.substr(name)});
}

std::string_view web_type_of(std::string_view grpc_type, WebKind kind, Arena& arena) {
  if (!is_type(grpc_type, grpc_name)) return grpc_type;
  return arena.join({kind == WebKind::text ? text_name : web_name, grpc_type.substr(grpc_name.size())});
}

bool Base64Decoder::decode(std::string_view text, std::string& out) {
  for (char digit : text) {
    group_[count_++] = digit;
    if (count_ < sizeof group_) continue;
    char bytes[base64_decoded_room(sizeof group_)];
    const char* end = base64_decode_to(bytes, {group_, sizeof group_});
    if (!end) return false;
    out.append(bytes, static_cast<size_t>(end - bytes));
    count_ = 0;
  }
  return true;
}

Poll DecodedBody::poll(Chunk& chunk) {
  if (malformed_) return Poll::failed;
  std::string bytes;
  for (;;) {
    Chunk pulled;
    Poll polled = source_.poll(pulled);
    if (polled == Poll::end && !decoder_.is_whole()) {
      malformed_ = true;
      return Poll::failed;
    }
    if (polled != Poll::ready) return polled;
    if (!decoder_.decode(pulled.bytes.view(), bytes)) {
      malformed_ = true;
      return Poll::failed;
    }
    if (bytes.empty()) continue;
    chunk.clear();
    chunk.bytes = Slice::copy_of(bytes);
    return Poll::ready;
  }
}

Task<Result<Unit>> DecodedBody::ready() { return source_.ready(); }

std::string trailer_frame(const Headers& trailers) {
  std::string lines;
  for (const Headers::Field& field : trailers) {
    for (char letter : field.name) lines += letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter;
    lines += ": ";
    lines += field.value;
    lines += "\r\n";
  }
  std::string frame(1, static_cast<char>(0x80));
  for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(lines.size() >> shift);
  return frame + lines;
}

void WebBody::give(Chunk& chunk, std::string_view bytes) {
  Slice slice = Slice::copy_of(kind_ == WebKind::text ? std::string_view(base64(bytes)) : bytes);
  chunk.clear();
  chunk.bytes = std::move(slice);
}

Poll WebBody::poll(Chunk& chunk) {
  if (ended_) return Poll::end;
  Poll polled = source_.poll(chunk);
  if (polled == Poll::ready && kind_ == WebKind::text) give(chunk, chunk.bytes.view());
  if (polled != Poll::end) return polled;
  ended_ = true;
  const Headers* trailers = source_.trailers();
  if (!trailers || trailers->empty()) return Poll::end;
  give(chunk, trailer_frame(*trailers));
  return Poll::ready;
}

Task<Result<Unit>> WebBody::ready() { return source_.ready(); }

}  // namespace fairlead::http::grpc
