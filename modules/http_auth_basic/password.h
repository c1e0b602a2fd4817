// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Passwords against what a user file holds, and the search in such a file. No state, no event loop: made to be called on a file thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fairlead::http::auth_basic {

// Longer lines of a user file are passed over.
constexpr size_t line_bytes_max = 8192;

// Whether `password` is the one behind `stored`: {PLAIN}text, {SHA}base64, {SSHA}base64, $apr1$salt$digest, or whatever crypt(3) of the
// system knows. May take as long as the scheme wants it to. A `stored` that no scheme knows, or a password with a zero byte, matches
// nothing.
bool password_matches(std::string_view password, std::string_view stored);

struct Login {
  std::string user, password;
};

enum class Checked : uint8_t { ok, no_user, mismatch, open_failed, read_failed };
struct Outcome {
  Checked checked;
  int err = 0;  // errno of open_failed and read_failed
};

// Looks the user up in the file: lines "user:password" or "user:password:comment"; those that begin with '#' are comments. The first line
// with the name counts.
Outcome check_login(const Login& login, const std::string& path);

}  // namespace fairlead::http::auth_basic
