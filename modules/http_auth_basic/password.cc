// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_basic/password.h"

#include <crypt.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "core/base/encoding.h"

namespace fairlead::http::auth_basic {
namespace {

constexpr size_t sha1_bytes = 20;
constexpr size_t md5_bytes = 16;

// In a time that does not tell where they differ.
bool same(std::string_view a, std::string_view b) { return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

// Empty if the library refuses the algorithm (FIPS).
std::string digest(const EVP_MD* algorithm, std::string_view text) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), bytes, &size, algorithm, nullptr) != 1) return {};
  return std::string(reinterpret_cast<char*>(bytes), size);
}

// {SHA}: the digest; {SSHA}: the digest of password and salt, then the salt.
bool matches_sha(std::string_view password, std::string_view encoded, bool salted) {
  auto stored = base64_decode(encoded);
  if (!stored || stored->size() < sha1_bytes || (!salted && stored->size() != sha1_bytes)) return false;
  std::string_view wanted = std::string_view(*stored).substr(0, sha1_bytes);
  std::string text(password);
  text.append(*stored, sha1_bytes);
  return same(digest(EVP_sha1(), text), wanted);
}

// The digits of crypt(3): six bits each, lowest first.
void append_digits(std::string& to, unsigned bits, int count) {
  constexpr char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (; count > 0; --count, bits >>= 6) to.push_back(digits[bits & 63]);
}

// What is mixed before the rounds.
std::string apr1_start(std::string_view password, std::string_view salt) {
  std::string text(password);
  std::string inner = digest(EVP_md5(), text + std::string(salt) + text);
  text.append("$apr1$").append(salt);
  for (size_t left = password.size(); left > 0; left -= std::min(left, md5_bytes)) text.append(inner, 0, std::min(left, md5_bytes));
  for (size_t bits = password.size(); bits > 0; bits >>= 1) text.push_back((bits & 1) != 0 ? '\0' : password[0]);
  return digest(EVP_md5(), text);
}

// Apache's variant of the MD5 scheme of crypt(3), which libxcrypt does not know: 1000 rounds.
bool matches_apr1(std::string_view password, std::string_view stored) {
  size_t dollar = stored.find('$');
  if (dollar == std::string_view::npos) return false;
  std::string_view salt = stored.substr(0, std::min<size_t>(dollar, 8));
  std::string last = apr1_start(password, salt);
  std::string text;
  for (int round = 0; round < 1000 && last.size() == md5_bytes; ++round) {
    bool odd = (round & 1) != 0;
    text.assign(odd ? password : std::string_view(last));
    if (round % 3 != 0) text.append(salt);
    if (round % 7 != 0) text.append(password);
    text.append(odd ? std::string_view(last) : password);
    last = digest(EVP_md5(), text);
  }
  if (last.size() != md5_bytes) return false;
  auto byte = [&last](size_t i) { return unsigned{static_cast<unsigned char>(last[i])}; };
  std::string shown;
  for (size_t i = 0; i < 5; ++i) append_digits(shown, byte(i) << 16 | byte(i + 6) << 8 | byte(i == 4 ? 5 : i + 12), 4);
  append_digits(shown, byte(11), 2);
  return same(shown, stored.substr(dollar + 1));
}

bool matches_crypt(std::string_view password, std::string_view stored) {
  auto room = std::make_unique<crypt_data>();
  const char* made = crypt_r(std::string(password).c_str(), std::string(stored).c_str(), room.get());
  return made && made[0] != '*' && same(made, stored);  // "*0" and "*1" are its failures
}

// A line without its end. True: the user's; then `stored` is set.
bool read_line(std::string_view line, std::string_view user, std::string& stored) {
  if (line.starts_with('#')) return false;
  size_t colon = line.find(':');
  if (colon == std::string_view::npos || line.substr(0, colon) != user) return false;
  line.remove_prefix(colon + 1);
  stored = line.substr(0, line.find_first_of(":\r"));
  return true;
}

// Finds the user's line; Checked::ok: `stored` is what it says.
Outcome find_user(int fd, std::string_view user, std::string& stored) {
  std::string text;
  bool passing = false;  // over the rest of a line that is too long
  for (;;) {
    char piece[4096];
    ssize_t count = ::read(fd, piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return {Checked::read_failed, errno};
    if (count == 0) break;
    text.append(piece, static_cast<size_t>(count));
    size_t begin = 0;
    for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (!passing && end - begin <= line_bytes_max && read_line(std::string_view(text).substr(begin, end - begin), user, stored))
        return {Checked::ok};
      passing = false;
    }
    text.erase(0, begin);
    if (text.size() > line_bytes_max) {
      passing = true;
      text.clear();
    }
  }
  return {!passing && read_line(text, user, stored) ? Checked::ok : Checked::no_user};
}

}  // namespace

bool password_matches(std::string_view password, std::string_view stored) {
  if (password.find('\0') != std::string_view::npos) return false;
  auto is = [&stored](std::string_view scheme) {
    if (!stored.starts_with(scheme)) return false;
    stored.remove_prefix(scheme.size());
    return true;
  };
  if (is("$apr1$")) return matches_apr1(password, stored);
  if (is("{PLAIN}")) return same(password, stored);
  if (is("{SSHA}")) return matches_sha(password, stored, true);
  if (is("{SHA}")) return matches_sha(password, stored, false);
  return matches_crypt(password, stored);
}

Outcome check_login(const Login& login, const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return {Checked::open_failed, errno};
  std::string stored;
  Outcome found = find_user(fd, login.user, stored);
  ::close(fd);
  if (found.checked != Checked::ok) return found;
  return {password_matches(login.password, stored) ? Checked::ok : Checked::mismatch};
}

}  // namespace fairlead::http::auth_basic
