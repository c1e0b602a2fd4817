// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What nghttp2 calls, and the making of its sessions. Part of session.h; nobody else includes it.
#pragma once

#include "http/h2/session.h"

namespace fairlead::http::h2 {

struct Session::Calls {
  static nghttp2_session* make_session(Role role, Session& session);
  static nghttp2_data_provider provider_of(Stream& stream);

  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* self);
  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_bytes, const uint8_t* value,
                       size_t value_bytes, uint8_t flags, void* self);
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_bytes, const uint8_t* value,
                               size_t value_bytes, uint8_t flags, void* self);
  static int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_data_chunk(nghttp2_session*, uint8_t flags, int32_t id, const uint8_t* bytes, size_t size, void* self);
  static int on_stream_close(nghttp2_session*, int32_t id, uint32_t code, void* self);
  static int on_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_error(nghttp2_session*, int code, const char* text, size_t size, void* self);
  static ssize_t read_length(nghttp2_session*, uint8_t type, int32_t id, int32_t session_window, int32_t stream_window,
                             uint32_t frame_bytes_max, void* self);
  static ssize_t read_body(nghttp2_session*, int32_t id, uint8_t* to, size_t size, uint32_t* flags, nghttp2_data_source* source, void* self);
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const uint8_t* head, size_t size, nghttp2_data_source* source, void* self);

  // The stream of a frame, or nullptr.
  static Stream* stream_of(nghttp2_session* session, int32_t id);
};

}  // namespace fairlead::http::h2
