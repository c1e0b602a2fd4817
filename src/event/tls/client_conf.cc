// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/client_conf.h"

#include <algorithm>

#include "core/base/format.h"
#include "event/tls/conf_source.h"

namespace fairlead {

ConfResult<Unit> set_tls_client_certificate(Line& line, TlsClientConf& conf) { return read_tls_source(line, conf.certificate); }
ConfResult<Unit> set_tls_client_key(Line& line, TlsClientConf& conf) { return read_tls_source(line, conf.key); }
ConfResult<Unit> read_tls_client_passwords(Line& line, TlsClientConf& conf) { return read_tls_passwords(line, conf.passwords); }

ConfResult<Unit> set_tls_client_trusted(Line& line, TlsClientConf& conf) {
  conf.trusted_certificate = tls_path(line, 1);
  return Unit();
}

ConfResult<Unit> set_tls_client_crl(Line& line, TlsClientConf& conf) {
  conf.crl = tls_path(line, 1);
  return Unit();
}

ConfResult<Unit> set_tls_client_sans(Line& line, TlsClientConf& conf) {
  conf.sans.clear();
  if (line.word_count() == 1 && line.word(1) == "off") return Unit();
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    TlsSan san;
    san.is_uri = word.starts_with("uri:");
    if (!san.is_uri && !word.starts_with("dns:")) return line.invalid_parameter(i);
    if (word.size() == 4) return line.invalid_parameter(i);
    auto name = compile_text(line, word.substr(4));
    if (!name) return std::move(name.error());
    san.name = std::move(*name);
    conf.sans.push_back(std::move(san));
  }
  return Unit();
}

ConfResult<Unit> set_tls_client_key_log(Line& line, TlsClientConf& conf) {
  conf.key_log = tls_key_log(line);
  return Unit();
}

bool TlsClientConf::has_variables() const {
  auto varies = [](const Template& text) { return text.is_set() && !text.is_literal(); };
  return varies(certificate) || varies(key) || varies(name) ||
         std::any_of(sans.begin(), sans.end(), [&](const TlsSan& san) { return varies(san.name); });
}

std::string TlsClientConf::identity() const {
  auto shown = [](const Template& text) { return text.is_literal() ? text.literal() : text.source(); };
  std::string text = format("{}\n{}\n{}\n{} {} {} {} {}\n{}\n{}\n{}\n", shown(certificate), shown(key), ciphers, protocols.bits, verify,
                            verify_depth, server_name, session_reuse, trusted_certificate, crl, name.is_set() ? shown(name) : "\r");
  for (std::string_view password : passwords) text.append(password).append("\n");
  for (const TlsSan& san : sans) text.append(san.is_uri ? "uri:" : "dns:").append(shown(san.name)).append("\n");
  for (const TlsCommand& command : commands) text.append(command.name).append(" ").append(command.value).append("\n");
  text += format("{} {} {} {}", certificate_cache.entries_max, certificate_cache.inactive_s, certificate_cache.valid_s,
                 static_cast<const void*>(key_log));
  return text;
}

}  // namespace fairlead
