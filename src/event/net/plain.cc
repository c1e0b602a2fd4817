// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PlainTransport: system calls on a stream socket, with the readiness rules of edge-triggered polling: a short read or write means
// that the kernel's buffer is empty (full), so the flag is cleared without a further call that would only say EAGAIN.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#if defined(__linux__)
#include <sys/sendfile.h>
#endif

#include "core/base/buffer.h"
#include "event/net/transport.h"

namespace fairlead {

PlainTransport::~PlainTransport() {
  int fd = watch_->fd();
  watch_->loop().unwatch(watch_);
  close(fd);
}

IoResult PlainTransport::read(char* to, size_t room) {
  for (;;) {
    ssize_t got = recv(watch_->fd(), to, room, 0);
    if (got > 0) {
      // With the peer's end already seen the flag stays: the next read must find the end, no event will come for it.
      if (static_cast<size_t>(got) < room && !watch_->has_hung_up()) watch_->set_ready(Direction::read, false);
      return {IoStatus::ok, static_cast<size_t>(got)};
    }
    if (got == 0) return {IoStatus::end};
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return {IoStatus::failed, 0, errno};
    watch_->set_ready(Direction::read, false);
    return {IoStatus::again};
  }
}

#if defined(MSG_MORE)
static constexpr int with_what_follows = MSG_MORE;  // close() and shutdown() send what waits
#else
static constexpr int with_what_follows = 0;
#endif

// What a send gave, of `total` bytes. Nothing: it is to be made again.
static std::optional<IoResult> result_of(Watch& watch, ssize_t sent, size_t total) {
  if (sent >= 0) {
    if (static_cast<size_t>(sent) < total) watch.set_ready(Direction::write, false);
    return IoResult{IoStatus::ok, static_cast<size_t>(sent)};
  }
  if (errno == EINTR) return std::nullopt;
  if (errno != EAGAIN) return IoResult{IoStatus::failed, 0, errno};
  watch.set_ready(Direction::write, false);
  return IoResult{IoStatus::again};
}

static IoResult send_one(Watch& watch, const char* from, size_t bytes, int flags) {
  for (;;) {
    if (auto result = result_of(watch, send(watch.fd(), from, bytes, flags), bytes)) return *result;
  }
}

static constexpr size_t copy_bytes_max = 2048;

// Out of line, for its room on the stack: one piece does without.
[[gnu::noinline]] static IoResult send_together(Watch& watch, const iovec* vectors, int count, int flags) {
  char together[copy_bytes_max];
  char* at = together;
  for (int i = 0; i < count; ++i) at = append_bytes(at, {static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len});
  return send_one(watch, together, static_cast<size_t>(at - together), flags);
}

IoResult PlainTransport::write(const iovec* vectors, int count) {
  int flags = watch_->end_follows() ? MSG_NOSIGNAL | with_what_follows : MSG_NOSIGNAL;
  if (count == 1) return send_one(*watch_, static_cast<const char*>(vectors[0].iov_base), vectors[0].iov_len, flags);
  size_t total = 0;
  for (int i = 0; i < count; ++i) total += vectors[i].iov_len;
  // A few small pieces (a head and its body) are cheaper copied together: send() spares what writev() does per call and vector.
  if (total <= copy_bytes_max) return send_together(*watch_, vectors, count, flags);
  for (;;) {
    if (auto result = result_of(*watch_, writev(watch_->fd(), vectors, count), total)) return *result;
  }
}

#if defined(__linux__)
IoResult PlainTransport::send_file(int file, uint64_t offset, size_t bytes) {
  for (;;) {
    off_t at = static_cast<off_t>(offset);
    ssize_t sent = sendfile(watch_->fd(), file, &at, bytes);
    if (sent > 0) return {IoStatus::ok, static_cast<size_t>(sent)};
    if (sent == 0) return {IoStatus::end};
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return {IoStatus::failed, 0, errno};
    watch_->set_ready(Direction::write, false);
    return {IoStatus::again};
  }
}
#endif

void PlainTransport::shutdown_write() { shutdown(watch_->fd(), SHUT_WR); }

}  // namespace fairlead
