// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/server_conf.h"

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"

namespace fairlead {

// The identity of the owner of zones of OCSP verdicts.
static constexpr char ocsp_zone_owner = 0;

ConfResult<Unit> add_tls_certificate(Line& line, TlsServerConf& conf) {
  conf.certificates.emplace_back();
  return read_tls_source(line, conf.certificates.back());
}

ConfResult<Unit> add_tls_key(Line& line, TlsServerConf& conf) {
  conf.keys.emplace_back();
  return read_tls_source(line, conf.keys.back());
}

ConfResult<Unit> add_tls_ticket_key(Line& line, TlsServerConf& conf) {
  conf.ticket_keys.push_back({tls_path(line, 1), line.place()});
  return Unit();
}

ConfResult<Unit> set_tls_ocsp_cache(Line& line, TlsServerConf& conf) {
  std::string_view word = line.word(1);
  conf.ocsp_cache = nullptr;
  if (word == "off") return Unit();
  if (!word.starts_with("shared:")) return format("invalid OCSP cache \"{}\"", word);
  std::string_view rest = word.substr(7);
  size_t colon = rest.find(':');
  auto bytes = colon == std::string_view::npos ? std::nullopt : parse_size(rest.substr(colon + 1), SizeUnits::up_to_mega);
  if (!bytes || colon == 0) return format("invalid OCSP cache \"{}\"", word);
  if (*bytes < zone_bytes_min) return format("OCSP cache \"{}\" is too small", rest.substr(0, colon));
  auto zone = line.generation().zones.declare(rest.substr(0, colon), *bytes, &ocsp_zone_owner);
  if (!zone) return std::move(zone.error());
  conf.ocsp_cache = *zone;
  return Unit();
}

ConfResult<Unit> set_tls_server_key_log(Line& line, TlsServerConf& conf) {
  conf.key_log = tls_key_log(line);
  return Unit();
}

ConfResult<Unit> read_tls_server_passwords(Line& line, TlsServerConf& conf) { return read_tls_passwords(line, conf.passwords); }

ConfResult<Unit> refuse_tls_feature(Line& line, TlsServerConf&) {
  if (line.name() == "ssl_certificate_compression") {
    if (line.word(1) == "off") return Unit();
    return std::string("certificate compression needs OpenSSL 3.2, this is built with 3.0");
  }
  return std::string("Encrypted Client Hello is not supported by the OpenSSL this is built with");
}

}  // namespace fairlead
