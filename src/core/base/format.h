// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Text formatting: {fmt}, instantiated once in format.cc (Debian ships no static library of it), plus a bounded form that
// never allocates, for log lines.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace fairlead {

using fmt::format;

// Formats into `buffer`; what does not fit is cut. Gives the text written.
template <class... Args>
std::string_view format_into(char* buffer, size_t room, fmt::format_string<Args...> text, Args&&... args) {
  auto result = fmt::format_to_n(buffer, room, text, std::forward<Args>(args)...);
  return {buffer, result.size < room ? result.size : room};
}

}  // namespace fairlead
