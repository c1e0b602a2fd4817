// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/server_conf.h"

#include <openssl/crypto.h>

#include <cerrno>
#include <cstring>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/process/small_file.h"

namespace fairlead {

// Most bytes of a password file.
static constexpr size_t password_file_bytes_max = 64 * 1024;

static bool is_special(std::string_view source) {
  return source.starts_with("data:") || source.starts_with("engine:") || source.starts_with("store:");
}

ConfResult<std::string_view> tls_path(Line& line, size_t index) {
  std::string_view path = line.word(index);
  if (path.empty() || is_special(path)) return path;
  return line.generation().absolute_conf_path(path);
}

static ConfResult<Template> source_of(Line& line) {
  if (line.word(1).find('$') != std::string_view::npos) return compile_word(line, 1);
  auto path = tls_path(line, 1);
  if (!path) return std::move(path.error());
  return Template(*path);
}

ConfResult<Unit> add_tls_certificate(Line& line, TlsServerConf& conf) {
  auto source = source_of(line);
  if (!source) return std::move(source.error());
  conf.certificates.push_back(std::move(*source));
  return Unit();
}

ConfResult<Unit> add_tls_key(Line& line, TlsServerConf& conf) {
  auto source = source_of(line);
  if (!source) return std::move(source.error());
  conf.keys.push_back(std::move(*source));
  return Unit();
}

ConfResult<std::vector<std::string_view>> read_passwords(Line& line) {
  auto path = tls_path(line, 1);
  if (!path) return std::move(path.error());
  std::vector<std::string_view> passwords;
  auto text = read_small_file(std::string(*path).c_str(), password_file_bytes_max);
  if (!text) return format("open() \"{}\" failed ({}: {})", *path, errno, strerror(errno));
  std::string_view part;
  for (Splitter split(line.arena().copy(*text), '\n'); split.next(part);) {
    if (part.ends_with('\r')) part.remove_suffix(1);
    if (!part.empty()) passwords.push_back(part);
  }
  OPENSSL_cleanse(text->data(), text->size());
  return passwords;
}

ConfResult<Unit> read_tls_passwords(Line& line, TlsServerConf& conf) {
  auto passwords = read_passwords(line);
  if (!passwords) return std::move(passwords.error());
  conf.passwords = std::move(*passwords);
  return Unit();
}

ConfResult<Unit> refuse_tls_feature(Line& line, TlsServerConf&) {
  if (line.name() == "ssl_certificate_compression") {
    if (line.word(1) == "off") return Unit();
    return std::string("certificate compression needs OpenSSL 3.2, this is built with 3.0");
  }
  return std::string("Encrypted Client Hello is not supported by the OpenSSL this is built with");
}

}  // namespace fairlead
