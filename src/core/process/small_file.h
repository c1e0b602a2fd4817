// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Files of a few lines, read or replaced as a whole: pid, status, /proc. Not for configuration or content.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fairlead {

// At most `bytes_max` bytes of the file (of a FIFO, what lies in it); nothing, with errno set, if it cannot be opened or read.
std::optional<std::string> read_small_file(const std::string& path, size_t bytes_max = 1 << 20);

// Writes a file beside it and renames it, so that a reader sees all of it or none. Where that cannot be done but the file is there, or a
// symbolic link is, it is written in place. False with errno set; nothing is left behind then.
bool replace_file(const std::string& path, std::string_view content);

// Whether replace_file() finds a folder or a file it may write to. False with errno set.
bool can_replace_file(const std::string& path);

// Removes it. What stays, a symbolic link or a file in a folder that must not be written to, is empty then. False with errno set.
bool remove_or_empty_file(const std::string& path);

// Without line ends and blanks behind it.
std::string_view trim_line(std::string_view text);

}  // namespace fairlead
