// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/conf/http_block.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "http/conf/core_conf.h"
#include "http/h2/conf.h"
#include "http/request/phase.h"

namespace fairlead::http {
namespace {

// The Conf of the main part; everything else hangs on it.
struct BlocksConf {
  HttpBlock* http = nullptr;
};

HttpBlock& http_of(const Line& line) { return *line.block().enclosing(in_http)->object<HttpBlock>(); }

ConfResult<Unit> set_http(Line& line, BlocksConf& own) {
  own.http = line.arena().make<HttpBlock>();
  own.http->block = line.open_block(in_http);
  own.http->block->set_object(own.http);
  return line.read_block(*own.http->block);
}

ConfResult<Unit> set_server(Line& line, BlocksConf&) {
  Block* block = line.open_block(in_server);
  Server* server = line.arena().make<Server>();
  Location* root = line.arena().make<Location>();
  server->block = root->block = block;
  server->root = root;
  root->server = server;
  block->set_object(root);
  server->locations.push_back(root);
  FL_TRY(line.read_block(*block));
  HttpBlock& http = http_of(line);
  if (!server->has_listen) {
    ListenSpec spec;
    spec.addr = Addr::inet(0, geteuid() == 0 ? 80 : 8000);
    FL_TRY(http.listens.add(*server, spec, ListenWish{}, nullptr));
  }
  http.servers.push_back(server);
  return Unit();
}

ConfResult<Unit> set_listen_line(Line& line, BlocksConf&) {
  return set_listen(line, *line.block().object<Location>()->server, http_of(line).listens);
}

ConfResult<Unit> add_server_name(Line& line, Server& server, std::string_view word) {
  ServerName name;
  if (word == "$hostname") {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    word = line.arena().copy(host);
  }
  std::string_view lowered = word;
  if (!word.starts_with('~')) {
    char* to = static_cast<char*>(line.arena().allocate(word.size(), 1));
    lower_into(to, word);
    lowered = {to, word.size()};
    if (lowered.ends_with('.')) lowered.remove_suffix(1);
    if (word.find_first_of("/ \t") != std::string_view::npos) line.warn(format("server name \"{}\" has suspicious symbols", word));
  }
  if (server.names.empty()) server.name = lowered.substr(lowered.starts_with('.') ? 1 : 0);
  if (word.starts_with('~')) {
    if (word.size() == 1) return std::string("empty regex in server name \"~\"");
    auto regex = RegexRule::compile(line, word.substr(1), true);
    if (!regex) return regex.error();
    name.kind = ServerName::Kind::regex;
    name.regex = std::move(*regex);
    name.name = word;
  } else if (lowered.starts_with("*.") || lowered.starts_with('.')) {
    name.kind = ServerName::Kind::suffix;
    name.also_exact = lowered[0] == '.';
    name.name = lowered.substr(name.also_exact ? 1 : 2);
  } else if (lowered.ends_with(".*")) {
    name.kind = ServerName::Kind::prefix;
    name.name = lowered.substr(0, lowered.size() - 2);
  } else {
    name.kind = ServerName::Kind::exact;
    name.name = lowered;
  }
  if (lowered.empty() && !word.empty()) return format("server name \"{}\" is invalid", word);
  bool stray = name.kind != ServerName::Kind::regex && name.name.find('*') != std::string_view::npos;
  if (stray || (name.kind != ServerName::Kind::exact && name.name.empty()))
    return format("server name \"{}\" is invalid", word);
  server.names.push_back(std::move(name));
  return Unit();
}

ConfResult<Unit> set_server_name(Line& line, BlocksConf&) {
  Server& server = *line.block().object<Location>()->server;
  for (size_t i = 1; i < line.words().size(); ++i) FL_TRY(add_server_name(line, server, line.word(i)));
  return Unit();
}

// "location [=|~|~*|^~] NAME" or with the modifier stuck to the name.
ConfResult<Unit> read_match(Line& line, Location& location) {
  using Match = Location::Match;
  std::string_view modifier, name;
  if (line.word_count() == 2) {
    modifier = line.word(1);
    name = line.word(2);
    if (modifier != "=" && modifier != "^~" && modifier != "~" && modifier != "~*")
      return format("invalid location modifier \"{}\"", modifier);
  } else {
    name = line.word(1);
    for (std::string_view stuck : {"^~", "~*", "=", "~"}) {
      if (!name.starts_with(stuck)) continue;
      modifier = stuck;
      name.remove_prefix(stuck.size());
      break;
    }
  }
  location.name = name;
  location.caseless = modifier == "~*";
  if (modifier == "=") location.match = Match::exact;
  else if (modifier == "^~") location.match = Match::prefix_no_regex;
  else if (!modifier.empty()) location.match = Match::regex;
  else location.match = name.starts_with('@') ? Match::named : Match::prefix;
  if (location.match != Match::regex) return Unit();
  auto regex = RegexRule::compile(line, name, location.caseless);
  if (!regex) return regex.error();
  location.regex = std::move(*regex);
  return Unit();
}

ConfResult<Unit> check_nesting(const Location& location, const Location& outer) {
  using Match = Location::Match;
  if (outer.match == Match::none) return Unit();
  if (outer.match == Match::exact) return format("location \"{}\" cannot be inside the exact location \"{}\"", location.name, outer.name);
  if (outer.match == Match::named) return format("location \"{}\" cannot be inside the named location \"{}\"", location.name, outer.name);
  if (location.match == Match::named) return format("named location \"{}\" can be on the server level only", location.name);
  bool outside = location.match != Match::regex && !location.name.starts_with(outer.name);
  if (outside) return format("location \"{}\" is outside location \"{}\"", location.name, outer.name);
  return Unit();
}

ConfResult<Unit> set_location(Line& line, BlocksConf&) {
  Block* block = line.open_block(in_location);
  Location& location = add_location(line, *block, Location::Match::none);
  Location& outer = location_of(line.block());
  FL_TRY(read_match(line, location));
  FL_TRY(check_nesting(location, outer));
  if (location.match == Location::Match::named) {
    auto [at, fresh] = location.server->named.emplace(location.name, &location);
    if (!fresh) line.warn(format("duplicate location \"{}\": the first one serves", location.name));
  } else {
    outer.inner.push_back(&location);
  }
  return line.read_block(*block);
}

ConfResult<Unit> set_internal(Line& line, BlocksConf&) {
  location_of(line.block()).is_internal = true;
  return Unit();
}

}  // namespace

Location& add_location(const Line& line, Block& block, Location::Match match) {
  Location& outer = location_of(line.block());
  Location* location = line.arena().make<Location>();
  location->block = &block;
  location->server = outer.server;
  location->outer = &outer;
  location->match = match;
  block.set_object(location);
  outer.server->locations.push_back(location);
  return *location;
}

HttpBlock* http_block_of(Generation& generation) { return conf<BlocksConf>(generation.root()).http; }

static void fill_rules(Server& server) {
  const CoreConf& core = conf<CoreConf>(*server.block);
  h1::ServerRules& rules = server.h1_rules;
  rules.head.ignore_invalid_headers = core.ignore_invalid_headers;
  rules.head.underscores = core.underscores_in_headers;
  rules.head.headers_max = static_cast<uint32_t>(core.max_headers);
  rules.head.line_bytes_max =
      static_cast<uint32_t>(std::max<uint64_t>(core.large_client_header_buffers.bytes, core.client_header_buffer_size));
  rules.head.head_bytes_max = static_cast<uint32_t>(  // what nginx's buffers hold at best: the first one and the large ones
      core.client_header_buffer_size.bytes + core.large_client_header_buffers.count * core.large_client_header_buffers.bytes);
  rules.arena_bytes = core.request_pool_size;
  rules.header_buffer_bytes = core.client_header_buffer_size.bytes;
  rules.header_timeout_ms = core.client_header_timeout.ms;
  rules.keepalive_timeout_ms = core.keepalive_timeout;
  rules.lingering_time_ms = core.lingering_close == Lingering::off ? 0 : core.lingering_time.ms;
  rules.lingering_timeout_ms = core.lingering_timeout;
  rules.linger_always = core.lingering_close == Lingering::always;
  const h2::H2Conf& h2_conf = conf<h2::H2Conf>(*server.block);
  server.h2_rules = h2::rules_of(h2_conf, core, rules.head);
  server.speaks_h2 = h2_conf.on;
}

static ConfResult<Unit> complete_http(Generation& generation) {
  HttpBlock* http = http_block_of(generation);
  if (!http) return Unit();
  for (Server* server : http->servers) {
    FL_TRY(server->root->finish());
    if (server->names.empty()) {  // nginx: no server_name is the empty one
      ServerName none;
      none.kind = ServerName::Kind::exact;
      server->names.push_back(std::move(none));
    }
    for (Location* location : server->locations) {  // outer ones first
      Location* outer = location->outer;
      if (outer && outer->is_internal) location->is_internal = true;
      if (outer && location->match == Location::Match::none && !location->content) {
        location->content = outer->content;
        location->takes_connect = outer->takes_connect;
      }
      compile_plan(*location);
    }
    fill_rules(*server);
  }
  http->listens.finish(generation);
  for (Server* server : http->servers)
    if (server->speaks_h2) server->alpn_protocols.insert(0, "\x02h2");
  return Unit();
}

constexpr Directive block_rows[] = {
    custom<set_http, BlocksConf>("http", in_main, words(0), "Everything about HTTP.").block(),
    custom<set_server, BlocksConf>("server", in_http, words(0), "A virtual server: its addresses, names and locations.").block().many(),
    custom<set_listen_line, BlocksConf>("listen", in_server, words_from(1),
                                        "An address and port, or a unix socket, that the server answers on.")
        .many()
        .takes("address[:port] | port | unix:path [default_server] [ssl] [proxy_protocol] [original_dst[=tproxy]] [reuseport] "
               "[multipath] ..."),
    custom<set_server_name, BlocksConf>("server_name", in_server, words_from(1),
                                        "Names of the virtual server: exact, with a wildcard, or ~regex.")
        .many()
        .takes("name ..."),
    custom<set_location, BlocksConf>("location", in_server | in_location, words(1, 2), "What holds for requests whose path matches.")
        .block()
        .many()
        .takes("[= | ~ | ~* | ^~] uri | @name"),
    custom<set_internal, BlocksConf>("internal", in_location, words(0), "Only internal requests may come here; others get 404."),
};

constinit const Module http_blocks_module = {
    .name = "http_blocks",
    .conf = conf_of<BlocksConf>,
    .directives = block_rows,
    .generation = complete_http,
};

}  // namespace fairlead::http
