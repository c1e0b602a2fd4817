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
  static nghttp2_session_callbacks* make_callbacks();

  // Those of nghttp2's signatures that are short enough.
  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* self);
  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_stream_close(nghttp2_session*, int32_t id, uint32_t code, void* self);
  static int on_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_frame_not_send(nghttp2_session*, const nghttp2_frame* frame, int code, void* self);
  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int code, void* self);
  static int on_error(nghttp2_session*, int code, const char* text, size_t size, void* self);

  // What the others come to. `stream` may be null.
  static void take_field(Session& session, Stream* stream, std::string_view name, std::string_view value);
  static void note_goaway(Session& session, const nghttp2_goaway& frame);
  static void take_data(Session& session, Stream* stream, std::string_view bytes);
  // How much of the body goes into the next frame, at most `room`; the end of it is said in `flags`.
  static ssize_t next_data(nghttp2_session*, Stream& stream, size_t room, uint32_t& flags);
  static void send_data(Session& session, Stream& stream, std::string_view frame_head, size_t size);

  // The stream of a frame, or nullptr.
  static Stream* stream_of(nghttp2_session* session, int32_t id);
};

}  // namespace fairlead::http::h2
