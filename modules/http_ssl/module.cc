// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_ssl: the ssl_* directives of http and the $ssl_* variables. Handshakes are the engine's (event/tls, http/request/secure.h); this
// module makes each virtual server's TlsServer when the configuration is complete. They lie in the generation.
#include <map>

#include "core/base/format.h"
#include "core/conf/error_log.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "event/dns/resolver_conf.h"
#include "event/hooks.h"
#include "event/tls/ocsp.h"
#include "event/tls/server.h"
#include "event/tls/staple.h"
#include "event/worker.h"
#include "http/conf/http_block.h"
#include "modules/http_ssl/variables.h"

namespace fairlead {
namespace http_ssl {
namespace {

struct HttpSslConf : TlsServerConf {
  // Of the main part: one per Conf that servers share. They live as long as the generation.
  std::map<const TlsServerConf*, std::unique_ptr<TlsServer>> servers;
  std::vector<std::pair<const TlsServer*, const Block*>> stapled;  // those that ask responders, and where their resolver is
};

const TlsServerConf& settings_of(const http::Server& server) { return conf<HttpSslConf>(*server.block); }

ConfResult<Unit> check_keys(const TlsServerConf& conf) {
  if (conf.keys.size() >= conf.certificates.size()) return Unit();
  const Template& lonely = conf.certificates[conf.keys.size()];
  return format("no \"ssl_certificate_key\" is defined for certificate \"{}\"", lonely.is_literal() ? lonely.literal() : lonely.source());
}

ConfResult<Unit> prepare_ocsp(Generation& generation, const http::Server& server, const TlsServer& made, HttpSslConf& all) {
  const TlsServerConf& own = made.conf();
  if (own.ocsp != ClientOcsp::off && own.verify_client == VerifyClient::optional_no_ca)
    return std::string("\"ssl_ocsp\" is incompatible with \"ssl_verify_client optional_no_ca\"");
  if (own.ocsp != ClientOcsp::off && !own.ocsp_responder.empty()) {
    auto responder = OcspResponder::parse(own.ocsp_responder);
    if (!responder) return std::move(responder.error());
  }
  if (!own.stapling || !own.stapling_file.empty() || made.only_verifies()) return Unit();
  if (made.has_variable_certificates()) {
    generation.warn("\"ssl_stapling\" ignored, not supported with variables in \"ssl_certificate\"");
  } else if (auto checked = check_stapling(made); !checked) {
    generation.warn(format("\"ssl_stapling\" ignored, {}", checked.error()));
  } else {
    all.stapled.emplace_back(&made, server.block);
  }
  return Unit();
}

ConfResult<Unit> make_server(Generation& generation, http::Server& server, HttpSslConf& all) {
  const TlsServerConf& own = settings_of(server);
  std::unique_ptr<TlsServer>& place = all.servers[&own];
  if (!place) {
    FL_TRY(check_keys(own));
    auto made = TlsServer::make(own);
    if (!made) return std::move(made.error());
    place = std::move(*made);
    note_certificates(generation, *place);
    FL_TRY(prepare_ocsp(generation, server, *place, all));
  }
  keep_hot(generation, *server.block, *place);
  server.tls = place.get();
  return Unit();
}

// A secure address needs a certificate for whoever names no known server; without one every server of it must bring its own or refuse.
ConfResult<Unit> check_address(const http::ListenAddress& address) {
  auto refuse = [](const http::Server& server) {
    return format("no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive{}\n", at_place(server.block->place()));
  };
  const http::Server& first = *address.hosts.default_server;
  if (!settings_of(first).certificates.empty()) return Unit();
  if (!settings_of(first).wants_context()) return refuse(first);
  for (const http::Server* server : address.hosts.servers)
    if (!settings_of(*server).wants_context()) return refuse(*server);
  return Unit();
}

// Whoever has no certificate but verifies clients: only where there is TLS is anything loaded for it.
ConfResult<Unit> make_verifiers(Generation& generation, const http::ListenAddress& address, HttpSslConf& all) {
  for (http::Server* server : address.hosts.servers)
    if (!server->tls && settings_of(*server).verifies_clients()) FL_TRY(make_server(generation, *server, all));
  return Unit();
}

ConfResult<Unit> make_servers(Generation& generation) {
  http::HttpBlock* http = http::http_block_of(generation);
  if (!http) return Unit();
  HttpSslConf& all = conf<HttpSslConf>(generation.root());
  for (http::Server* server : http->servers)
    if (settings_of(*server).wants_context()) FL_TRY(make_server(generation, *server, all));
  for (auto& address : http->listens.addresses) {
    if (!address->is_secure) continue;
    FL_TRY(check_address(*address));
    FL_TRY(make_verifiers(generation, *address, all));
  }
  return Unit();
}

Task<Unit> start(Worker& worker) {
  for (auto& [server, block] : conf<HttpSslConf>(worker.generation().root()).stapled) {
    Logger log(*conf<ErrorLogConf>(*block).log);
    worker.background().spawn(keep_stapled(worker, *server, conf<ResolverConf>(*block), log));
  }
  co_return Unit();
}

constexpr event::Hooks event_hooks = {.start = &start};
constexpr std::string_view runs_after[] = {"http_blocks"};

}  // namespace
}  // namespace http_ssl

extern constinit const Module http_ssl_module = {
    .name = "http_ssl",
    .conf = conf_of<http_ssl::HttpSslConf>,
    .directives = tls_server_directives<http_ssl::HttpSslConf, in_http | in_server>,
    .variables = http_ssl::variables,
    .after = http_ssl::runs_after,
    .generation = http_ssl::make_servers,
    .event = &http_ssl::event_hooks,
};

}  // namespace fairlead
