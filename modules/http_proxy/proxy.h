// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The parts of http_proxy: its Conf, the request it builds, the reply fields it rewrites. Private to this folder.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/conf/regex_rule.h"
#include "core/conf/template.h"
#include "event/net/proxy_protocol.h"
#include "event/tls/client.h"
#include "http/forward/forward.h"
#include "http/forward/conf.h"
#include "http/forward/request_head.h"
#include "http/h2/peer_conf.h"

namespace fairlead::http::proxy {

enum class Version : uint8_t { http_1_0, http_1_1, http_2 };
enum class Alpn : uint32_t { h2 = 1, http_1_1 = 2 };

// Of the head to the peer: fields ready for the wire, or one field whose value has variables.
struct SentPart {
  std::string text;
  std::vector<std::pair<std::string_view, std::string_view>> literals;  // the same, one by one, for protocols without lines
  SetHeader field;  // if `text` is empty
  bool is_upgrade = false;
};

// proxy_redirect and proxy_cookie_domain|path: what is replaced by what.
struct Rewrite {
  bool is_default = false;             // proxy_redirect default
  Template from;
  std::shared_ptr<RegexRule> regex;    // instead of `from`
  Template to;
};

struct CookieFlags {
  std::shared_ptr<RegexRule> regex;
  Template name;
  uint8_t set = 0, clear = 0;          // bits of CookieFlag
  std::string_view same_site;          // with set: Strict, Lax, None
  std::vector<Template> more;          // flags that only a request's variables name

  // False: there is no such flag.
  bool add(std::string_view flag);
};
enum CookieFlag : uint8_t { cookie_secure = 1, cookie_httponly = 2, cookie_samesite = 4 };

// proxy_pass of one block.
struct Pass {
  std::string_view uri;          // replaces the location's part of the path
  std::string_view url_text;     // as written, for the default redirect
  size_t location_bytes = 0;     // of the request's path that `uri` replaces
  bool is_set = false;
  bool has_uri = false;
  bool has_port = false;
  bool is_secure = false;        // https
  const GroupSpec* group = nullptr;
  std::string_view host_header;  // "host:port" as written, for $proxy_host
  std::string_view port;
  Template url;                  // with variables
};

struct ProxyConf : ForwardConf, TlsClientConf, h2::PeerLimits {
  TlsClients clients;            // of the main part: those of all blocks
  // From here on what every request asks for, close together: it comes from the second cache each
  // time. The first three are made by finish: what is sent, in order, and the names of client
  // fields that are not.
  std::vector<SentPart> sent;
  HeaderNames not_copied;
  bool sends_host = false;     // some part says who is asked
  bool sends_length = false;   // proxy_set_header names Content-Length, whose framing is ours all the same
  bool websocket = false;
  bool sends_proxy_header = false;  // the PROXY protocol, ahead of a connection's first request
  ProxyVersion proxy_header_version = ProxyVersion::v1;
  Version http_version = Version::http_1_1;
  Flags<Alpn> alpn{0};           // of https peers, in place of the version
  TlsClient* tls = nullptr;      // of the generation; set if some target may be https
  Pass pass;
  Template method;
  Template set_body;
  // What replies are asked for, and what the others are made of.
  std::vector<Rewrite> cookie_domains, cookie_paths;
  std::vector<CookieFlags> cookie_flags;
  std::vector<SetHeader> set_headers;
  SetHeaderInherit set_header_inherit = SetHeaderInherit::on;
  bool redirect_off = false;
  std::vector<Rewrite> redirects;
  bool redirects_given = false;
  bool cookie_domains_off = false, cookie_paths_off = false, cookie_flags_off = false;
};

// What was found out about the target of one request.
struct ProxyRequest {
  explicit ProxyRequest(const ProxyConf& of) : conf(of) {}
  const ProxyConf& conf;
  RuntimeTarget target;
  std::string_view host_header, port, scheme = "http";
  std::string_view uri;  // as it goes to the peer
  bool has_runtime_uri = false;  // it came with the URL from variables
  bool may_be_http_1 = true, may_be_http_2 = false;  // both: as the peer chooses
  bool opens_websocket = false;  // over HTTP/2: by an extended CONNECT
};

// The module's state in a request: the last proxied target, for $proxy_host and the like.
// An internal redirect leaves it behind.
struct ProxySlot {
  std::optional<ProxyRequest> last;
  int redirects = 0;  // of the request when it was proxied
  ProxyRequest& begin(const ProxyConf& of, int redirects_before) {
    redirects = redirects_before;
    return last.emplace(of);
  }
  bool holds(const Request& request) const { return last && redirects == request.redirects; }
};

// build.cc
ConfResult<Unit> prepare_headers(Block& block, ProxyConf& conf);
Task<Verdict> run_proxy(Request& request);
// redirect.cc
ConfResult<Unit> set_redirect(Line& line, ProxyConf& conf);
ConfResult<Unit> set_cookie_rewrite(Line& line, ProxyConf& conf);
ConfResult<Unit> set_cookie_flags(Line& line, ProxyConf& conf);
void edit_reply(Request& request, ResponseHead& reply, const void* proxy_request);

}  // namespace fairlead::http::proxy
