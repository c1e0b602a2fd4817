// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PlainTransport: system calls on a stream socket, with the readiness rules of edge-triggered polling: a short read or write means
// that the kernel's buffer is empty (full), so the flag is cleared without a further call that would only say EAGAIN.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#if defined(__linux__)
#include <sys/sendfile.h>
#endif

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

static size_t total_of(const iovec* vectors, int count) {
  size_t total = 0;
  for (int i = 0; i < count; ++i) total += vectors[i].iov_len;
  return total;
}

IoResult PlainTransport::write(const iovec* vectors, int count) {
  // A few small pieces (a head and its body) are cheaper copied together: send() spares what writev() does per call and vector.
  constexpr size_t copy_bytes_max = 2048;
  char together[copy_bytes_max];
  size_t total = total_of(vectors, count);
  iovec whole = vectors[0];
  if (count > 1 && total <= copy_bytes_max) {
    char* at = together;
    for (int i = 0; i < count; ++i) {
      std::memcpy(at, vectors[i].iov_base, vectors[i].iov_len);
      at += vectors[i].iov_len;
    }
    whole = {together, total};
    count = 1;
  }
  for (;;) {
    ssize_t sent = count == 1 ? send(watch_->fd(), whole.iov_base, whole.iov_len, MSG_NOSIGNAL) : writev(watch_->fd(), vectors, count);
    if (sent >= 0) {
      if (static_cast<size_t>(sent) < total) watch_->set_ready(Direction::write, false);
      return {IoStatus::ok, static_cast<size_t>(sent)};
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return {IoStatus::failed, 0, errno};
    watch_->set_ready(Direction::write, false);
    return {IoStatus::again};
  }
}

IoResult PlainTransport::send_file(int file, uint64_t offset, size_t bytes) {
#if defined(__linux__)
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
#else
  char buffer[16384];
  ssize_t got = pread(file, buffer, std::min(bytes, sizeof buffer), static_cast<off_t>(offset));
  if (got < 0) return {IoStatus::failed, 0, errno};
  if (got == 0) return {IoStatus::end};
  iovec vector{buffer, static_cast<size_t>(got)};
  return write(&vector, 1);
#endif
}

void PlainTransport::shutdown_write() { shutdown(watch_->fd(), SHUT_WR); }

}  // namespace fairlead
