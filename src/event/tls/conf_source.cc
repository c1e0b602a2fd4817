// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/conf_source.h"

#include <openssl/crypto.h>

#include <cerrno>
#include <cstring>

#include "core/base/format.h"
#include "core/base/log_sinks.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/process/small_file.h"

namespace fairlead {

// Most bytes of a password file.
static constexpr size_t password_file_bytes_max = 64 * 1024;

static bool is_path(std::string_view source) {
  return !source.empty() && !source.starts_with("data:") && !source.starts_with("engine:") && !source.starts_with("store:");
}

void add_path(std::vector<std::string>& paths, std::string_view source) {
  if (is_path(source)) paths.emplace_back(source);
}

std::string_view tls_path(Line& line, size_t index) {
  std::string_view path = line.word(index);
  return is_path(path) ? line.generation().absolute_conf_path(path) : path;
}

ConfResult<Unit> read_tls_source(Line& line, Template& source) {
  if (line.word(1).find('$') == std::string_view::npos) {
    source = Template(tls_path(line, 1));
    return Unit();
  }
  auto compiled = compile_word(line, 1);
  if (!compiled) return std::move(compiled.error());
  source = std::move(*compiled);
  return Unit();
}

LogSink* tls_key_log(Line& line) { return &line.generation().file_sink(line.generation().absolute_path(line.word(1))); }

ConfResult<Unit> read_tls_passwords(Line& line, std::vector<std::string_view>& passwords) {
  std::string_view path = tls_path(line, 1);
  auto text = read_small_file(std::string(path), password_file_bytes_max);
  if (!text) return format("open() \"{}\" failed ({}: {})", path, errno, strerror(errno));
  passwords.clear();
  std::string_view part;
  for (Splitter split(line.arena().copy(*text), '\n'); split.next(part);) {
    if (part.ends_with('\r')) part.remove_suffix(1);
    if (!part.empty()) passwords.push_back(part);
  }
  OPENSSL_cleanse(text->data(), text->size());
  return Unit();
}

}  // namespace fairlead
