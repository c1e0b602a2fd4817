// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/byte_socket.h"

#include <algorithm>
#include <cstring>

#include "core/base/format.h"
#include "event/net/connection.h"
#include "modules/lua/socket_names.h"

namespace fairlead::lua {

bool ReadStep::feed(std::string_view unread, size_t& consumed) {
  consumed = 0;
  switch (what_.kind) {
    case Reading::Kind::bytes:
      consumed = std::min(unread.size(), what_.bytes - result.size());
      result.append(unread.substr(0, consumed));
      return result.size() == what_.bytes;
    case Reading::Kind::any:
      consumed = std::min(unread.size(), what_.bytes);
      result.append(unread.substr(0, consumed));
      return consumed > 0;
    case Reading::Kind::all:
      consumed = unread.size();
      result.append(unread);
      return false;
    case Reading::Kind::line: return feed_line(unread, consumed);
    case Reading::Kind::until: return feed_until(unread, consumed);
  }
  return false;
}

// All carriage returns go, wherever in the line.
bool ReadStep::feed_line(std::string_view unread, size_t& consumed) {
  size_t end = unread.find('\n');
  bool whole = end != std::string_view::npos;
  for (char byte : unread.substr(0, end))
    if (byte != '\r') result += byte;
  consumed = whole ? end + 1 : unread.size();
  return whole;
}

// How many bytes at the end of `text`, which does not hold the pattern, may be the beginning of it.
static size_t begun_at_end(std::string_view text, std::string_view pattern) {
  size_t bytes = std::min(text.size(), pattern.size() - 1);
  while (bytes > 0 && !text.ends_with(pattern.substr(0, bytes))) --bytes;
  return bytes;
}

// Bytes with which the pattern might begin are left unread until more is known.
bool ReadStep::feed_until(std::string_view unread, size_t& consumed) {
  const std::string& pattern = what_.pattern;
  size_t room = what_.bytes ? what_.bytes - result.size() : SIZE_MAX;
  size_t at = unread.find(pattern);
  if (at != std::string_view::npos && at <= room) {
    // With a size, data that ends right before the pattern is given first, the end by the next call.
    if (what_.bytes && at == room && at > 0) {
      result.append(unread.substr(0, at));
      consumed = at;
      return true;
    }
    result.append(unread.substr(0, what_.inclusive ? at + pattern.size() : at));
    consumed = at + pattern.size();
    if (until_) until_->met = true;
    return true;
  }
  size_t safe = at != std::string_view::npos ? at : unread.size() - begun_at_end(unread, pattern);
  consumed = std::min(safe, room);
  result.append(unread.substr(0, consumed));
  return what_.bytes && result.size() == what_.bytes;
}

// -- over a connection --

std::string text_of(const Error& error) {
  switch (error.fault) {
    case Fault::timeout: return "timeout";
    case Fault::closed: return "closed";
    default: break;
  }
  return error.sys ? system_text(error.sys) : error.what;
}

std::string log_text_of(const Error& error) {
  return error.sys ? format("{} ({}: {})", error.what, error.sys, std::strerror(error.sys)) : error.what;
}

// What TLS has to say is for the log only.
static StreamOutcome fail(ByteSocket& socket, const Connection& connection, const Error& error) {
  StreamOutcome over{text_of(error), true};
  bool is_of_tls = !error.sys && error.fault != Fault::timeout && connection.transport().failure_text();
  if (!error.sys && !is_of_tls) return over;
  socket.failure = log_text_of(error);
  socket.is_failure_of_tls = is_of_tls;
  if (is_of_tls) over.wrong = "error";
  return over;
}

Task<StreamOutcome> receive_from(Connection& from, ByteSocket& socket, ReadStep& step) {
  for (;;) {
    size_t consumed;
    bool complete = step.feed(from.unread(), consumed);
    from.consume(consumed);
    if (complete) {
      from.release_if_empty();
      co_return StreamOutcome();
    }
    IoResult got = from.fill(std::max(socket.buffer_bytes, from.unread().size() * 2));
    if (got.status == IoStatus::ok) continue;
    if (got.status == IoStatus::again) {
      WaitStatus status = co_await from.readable(from.loop().deadline(socket.timeouts.read_ms));
      if (status == WaitStatus::ready) continue;
      StreamOutcome late{"timeout", false};
      co_return late;
    }
    step.result.append(from.unread());
    from.consume(from.unread().size());
    if (got.status == IoStatus::failed) co_return fail(socket, from, from.error_of(got, "recv() failed"));
    StreamOutcome over{"closed", true};
    co_return over;
  }
}

Task<StreamOutcome> send_to(Connection& to, ByteSocket& socket, Chain bytes) {
  auto written = co_await to.write(bytes, socket.timeouts.send_ms);
  if (written) co_return StreamOutcome();
  co_return fail(socket, to, written.error());
}

}  // namespace fairlead::lua
