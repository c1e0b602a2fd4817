// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/net/transport.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace fairlead {

IoResult Transport::send_file(int file, uint64_t offset, size_t bytes) {
  char buffer[16384];
  ssize_t got = pread(file, buffer, std::min(bytes, sizeof buffer), static_cast<off_t>(offset));
  if (got < 0) return {IoStatus::failed, 0, errno};
  if (got == 0) return {IoStatus::end};
  iovec vector{buffer, static_cast<size_t>(got)};
  return write(&vector, 1);
}

}  // namespace fairlead
