// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_proxy: proxy_pass and everything named proxy_*. Forwarding itself is the engine's (http/forward); this is what HTTP as a protocol
// to peers adds: URI replacement, header fields, rewriting of replies.
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "http/conf/location.h"
#include "modules/http_proxy/proxy.h"

namespace fairlead {

template <>
struct ConfValue<http::proxy::Version> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "1.0 | 1.1 | 2";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::proxy::Version& field) {
    if (line.word(1) == "1.0") field = http::proxy::Version::http_1_0;
    else if (line.word(1) == "1.1") field = http::proxy::Version::http_1_1;
    else if (line.word(1) == "2") field = http::proxy::Version::http_2;
    else return line.invalid_value(1);
    return Unit();
  }
};

template <>
struct EnumWords<http::proxy::Alpn> {
  static constexpr EnumWord<http::proxy::Alpn> all[] = {{"h2", http::proxy::Alpn::h2}, {"http/1.1", http::proxy::Alpn::http_1_1}};
};

template <>
struct EnumWords<ProxyVersion> {
  static constexpr EnumWord<ProxyVersion> all[] = {{"1", ProxyVersion::v1}, {"2", ProxyVersion::v2}};
};

}  // namespace fairlead

namespace fairlead::http::proxy {
namespace {

// The part of the URL behind host and port.
std::string_view cut_uri(std::string_view& authority) {
  size_t at;
  if (authority.starts_with("unix:")) {
    at = authority.find(':', 5);
    if (at == std::string_view::npos) return {};
    std::string_view uri = authority.substr(at + 1);
    authority = authority.substr(0, at);
    return uri;
  }
  at = authority.find_first_of("/?");
  if (at == std::string_view::npos) return {};
  std::string_view uri = authority.substr(at);
  authority = authority.substr(0, at);
  return uri;
}

ConfResult<Unit> set_fixed_pass(Line& line, ProxyConf& conf, const Location& location, std::string_view url) {
  bool is_secure = starts_with_nocase(url, "https://");
  if (!is_secure && !starts_with_nocase(url, "http://")) return std::string("invalid URL prefix");
  std::string_view authority = url.substr(is_secure ? 8 : 7);
  std::string_view uri = cut_uri(authority);
  Pass& pass = conf.pass;
  uint16_t default_port = is_secure ? 443 : 80;
  pass.is_secure = is_secure;
  pass.host_header = authority.starts_with("unix:") ? std::string_view("localhost") : authority;
  pass.url_text = url;
  pass.has_uri = !uri.empty();
  pass.uri = uri.starts_with('?') ? line.arena().join({"/", uri}) : uri;
  using Match = Location::Match;
  bool no_prefix = location.match == Match::regex || location.match == Match::named || (location.match == Match::none && location.outer);
  if (pass.has_uri && no_prefix)
    return std::string(
        "\"proxy_pass\" cannot have URI part in location given by regular expression, or inside named location, or inside \"if\" "
        "statement, or inside \"limit_except\" block");
  pass.location_bytes = location.name.size();
  auto parsed = parse_addr(authority, default_port, AddrUse::connect);
  if (!parsed) return format("{} in upstream \"{}\"", parsed.error(), url.substr(is_secure ? 8 : 7));
  pass.has_port = parsed->has_port;
  pass.port = parsed->has_port ? authority.substr(authority.rfind(':') + 1) : is_secure ? "443" : "80";
  auto group = implicit_group(line, authority, default_port);
  if (!group) return group.error();
  pass.group = *group;
  return Unit();
}

ConfResult<Unit> set_pass(Line& line, ProxyConf& conf) {
  Location& location = location_of(line.block());
  conf.pass = Pass();
  conf.pass.is_set = true;
  set_content(line, &run_proxy);
  location.redirects_without_slash = location.name.ends_with('/');
  std::string_view url = line.word(1);
  if (url.find('$') == std::string_view::npos) return set_fixed_pass(line, conf, location, url);
  auto compiled = compile_word(line, 1);
  if (!compiled) return compiled.error();
  conf.pass.url = std::move(*compiled);
  return Unit();
}

ConfResult<Unit> check_number(Line& line, ProxyConf&) {
  if (!parse_decimal(line.word(1))) return line.directive_reason("invalid number");
  return Unit();
}

// A target is of its own block, but an `if` or `limit_except` inside goes where its location goes. A host that names a group means it.
ConfResult<Unit> finish_proxy(Block& block, ProxyConf& conf) {
  bool within = block.context() & (in_location_if | in_limit_except);
  if (within && !conf.pass.is_set) conf.pass = fairlead::conf<ProxyConf>(*block.parent()).pass;
  if (conf.set_header_inherit == SetHeaderInherit::merge && block.is_set("proxy_set_header") && block.parent())
    merge_headers(conf.set_headers, fairlead::conf<ProxyConf>(*block.parent()).set_headers);
  FL_TRY(finish_forward(block, conf, "proxy"));
  FL_TRY(h2::check_peer_limits(block, conf, "proxy_http2"));
  return prepare_headers(block, conf);
}

ConfResult<Unit> bind_targets(Generation& generation) {
  ConfResult<Unit> bound = Unit();
  each_block(generation.root(), [&](Block& block) {
    ProxyConf& conf = fairlead::conf<ProxyConf>(block);
    Pass& pass = conf.pass;
    if (bound) bound = bind_group(generation, pass.group, pass.has_port, false);
    if (block.enclosing(in_http)) place_temp_path(generation, conf.temp_path);
    if (bound) bound = bind_tls<ProxyConf>(generation, block, "proxy_ssl", pass.is_secure || pass.url.is_set());
  });
  return bound;
}

Value proxy_host(Session& session, uintptr_t) {
  Request& request = as_request(session);
  const ProxySlot* slot = request.find_slot<ProxySlot>();
  if (!slot || !slot->holds(request)) return Value::missing();
  return Value{slot->last->host_header};
}
Value proxy_port(Session& session, uintptr_t) {
  Request& request = as_request(session);
  const ProxySlot* slot = request.find_slot<ProxySlot>();
  if (!slot || !slot->holds(request)) return Value::missing();
  return Value{slot->last->port};
}
// The client's X-Forwarded-For with the client's address behind it.
Value add_x_forwarded_for(Session& session, uintptr_t) {
  Request& request = as_request(session);
  char text[Addr::text_max];
  std::string_view client{text, static_cast<size_t>(request.client_addr->write_host(text) - text)};
  std::string_view before = request.head.headers.joined(KnownHeader::x_forwarded_for);
  if (before.empty()) return Value{request.arena().copy(client)};
  return Value{request.arena().join({before, ", ", client})};
}

constexpr std::array<Directive, 16> own_rows = {
    custom<set_pass, ProxyConf>("proxy_pass", in_location | in_location_if | in_limit_except, words(1), "Where requests are forwarded to.")
        .takes("URL"),
    slot<ProxyConf, &ProxyConf::http_version>("proxy_http_version", in_http_any, "Version of HTTP towards peers.").usual("1.1"),
    slot<ProxyConf, &ProxyConf::alpn>(
        "proxy_ssl_alpn", in_http_any,
        "Protocols that https peers are offered by ALPN, in place of proxy_http_version; HTTP/1.1 is spoken to one that chooses none, "
        "unless h2 alone was offered.")
        .takes("h2 | http/1.1 ..."),
    slot<ProxyConf, &ProxyConf::method>("proxy_method", in_http_any, "Method sent instead of the client's."),
    slot<ProxyConf, &ProxyConf::websocket>(
        "proxy_websocket", in_http_any,
        "Pass on what asks for a WebSocket, without further headers set; to peers of HTTP/2 by an extended CONNECT, if they allow it."),
    slot<ProxyConf, &ProxyConf::set_body>("proxy_set_body", in_http_any, "Body sent instead of the client's."),
    slot<ProxyConf, &ProxyConf::set_headers>("proxy_set_header", in_http_any,
                                             "A header field of the request to the peer; an empty value drops it."),
    slot<ProxyConf, &ProxyConf::set_header_inherit>("proxy_set_header_inherit", in_http_any,
        "Whether proxy_set_header lines of outer blocks hold only where there are none, or also beside own ones of other names.")
        .takes("on | merge"),
    custom<set_redirect, ProxyConf, &ProxyConf::redirects, &ProxyConf::redirect_off, &ProxyConf::redirects_given>(
        "proxy_redirect", in_http_any, words(1, 2),
        "How Location and Refresh of replies are rewritten; `default`, spelt out, stands after proxy_pass.")
        .many()
        .takes("default | off | redirect replacement").usual("default"),
    custom<set_cookie_rewrite, ProxyConf, &ProxyConf::cookie_domains, &ProxyConf::cookie_domains_off>(
        "proxy_cookie_domain", in_http_any, words(1, 2), "Rewrites the domain of cookies.")
        .many()
        .takes("off | domain replacement"),
    custom<set_cookie_rewrite, ProxyConf, &ProxyConf::cookie_paths, &ProxyConf::cookie_paths_off>(
        "proxy_cookie_path", in_http_any, words(1, 2), "Rewrites the path of cookies.")
        .many()
        .takes("off | path replacement"),
    custom<set_cookie_flags, ProxyConf, &ProxyConf::cookie_flags, &ProxyConf::cookie_flags_off>(
        "proxy_cookie_flags", in_http_any, words(1, 4), "Sets or clears flags of cookies.")
        .many()
        .takes("off | cookie [flag ...]"),
    slot<ProxyConf, &ProxyConf::sends_proxy_header>("proxy_protocol", in_http_any,
                                                    "Begin connections to peers with a PROXY header; where the client's address and the "
                                                    "server's are of two families, the IPv4 one is sent as ::ffff:a.b.c.d."),
    slot<ProxyConf, &ProxyConf::proxy_header_version>("proxy_protocol_version", in_http_any, "Version of that header."),
    custom<check_number, ProxyConf>("proxy_headers_hash_max_size", in_http_any, words(1), "Accepted; tables of names size themselves."),
    custom<check_number, ProxyConf>("proxy_headers_hash_bucket_size", in_http_any, words(1), "Accepted; tables of names size themselves."),
};

constexpr auto peer_rows = join(tls_client_directives<ProxyConf, "proxy_ssl", in_http_any>, h2::peer_directives<ProxyConf, "proxy_http2">);
constexpr auto rows = join(join(forward_directives<ProxyConf, "proxy">, peer_rows), own_rows);

constexpr VariableDef variables[] = {
    {.name = "proxy_host", .get = &proxy_host, .flags = variable_volatile | variable_changeable, .engines = http_variable},
    {.name = "proxy_port", .get = &proxy_port, .flags = variable_volatile | variable_changeable, .engines = http_variable},
    {.name = "proxy_add_x_forwarded_for", .get = &add_x_forwarded_for, .engines = http_variable},
};

}  // namespace
}  // namespace fairlead::http::proxy

namespace fairlead {

extern constinit const Module http_proxy_module = {
    .name = "http_proxy",
    .conf = conf_of<http::proxy::ProxyConf>,
    .directives = http::proxy::rows,
    .variables = http::proxy::variables,
    .finish = finish_of<http::proxy::finish_proxy, http::proxy::ProxyConf>,
    .generation = http::proxy::bind_targets,
};

}  // namespace fairlead
