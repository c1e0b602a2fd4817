// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_tunnel: tunnel_pass and everything named tunnel_*: CONNECT requests become tunnels to the host and port that the client names, or to
// where the configuration says. Connecting, tries and the bytes both ways are the engine's (http/forward).
#include "core/base/format.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "http/conf/location.h"
#include "http/conf/server.h"
#include "http/forward/connect.h"
#include "http/forward/forward.h"
#include "http/forward/target.h"

namespace fairlead {

namespace http_tunnel {
// The conditions that tunnel_next_upstream has, with their bits in Next.
enum class NextPeer : uint32_t {};
static constexpr EnumWord<NextPeer> word(std::string_view text, http::Next bit) {
  return {text, static_cast<NextPeer>(static_cast<uint32_t>(bit))};
}
}  // namespace http_tunnel

template <>
struct EnumWords<http_tunnel::NextPeer> {
  static constexpr EnumWord<http_tunnel::NextPeer> all[] = {
      http_tunnel::word("error", http::Next::error), http_tunnel::word("timeout", http::Next::timeout),
      http_tunnel::word("denied", http::Next::denied), http_tunnel::word("off", http::Next::off)};
};

namespace http_tunnel {
namespace {

using namespace http;

// tunnel_pass of one block.
struct Pass {
  bool is_set = false;
  const GroupSpec* group = nullptr;
  Template address;  // with variables
  bool has_port = false;
};

struct TunnelConf : ForwardConf {
  Pass pass;
  Flags<NextPeer> next_peer{static_cast<uint32_t>(Next::error) | static_cast<uint32_t>(Next::timeout)};
  Size tunnel_buffer_size{16 * 1024};
  Conditions allow;
};

struct Tunnel {
  const TunnelConf* conf = nullptr;
};

void build(Request& request, AttemptRequest& what, const void*) {
  what.body = request.arena().make<EmptyBody>();
  what.method = Method::connect;
}

bool allows(Request& request, const void* tunnel) { return hold_all(static_cast<const Tunnel*>(tunnel)->conf->allow, request); }

Task<Verdict> answer(Verdict verdict) { co_return verdict; }

// Plain: a frame of its own would only wait for that of forward().
Task<Verdict> run_tunnel_pass(Request& request) {
  const TunnelConf& conf = fairlead::conf<TunnelConf>(request);
  if (request.method != Method::connect) return answer(Verdict::status(405));
  Tunnel& tunnel = request.slot<Tunnel>();
  tunnel.conf = &conf;
  ForwardPlan& plan = ForwardPlan::make(request, conf, connect_protocol);
  plan.group = conf.pass.group;
  if (!plan.group) {
    std::string_view address = conf.pass.address.evaluate(request);
    auto target = read_target(request, address, 0, address);
    if (!target) return answer(Verdict::status(500));
    plan.target = *target;
  }
  plan.url_scheme = "";
  plan.tunnel_buffer_bytes = conf.tunnel_buffer_size;
  plan.build = &build;
  plan.allows = &allows;
  plan.module_plan = &tunnel;
  return forward(request, plan);
}

ConfResult<Unit> set_pass(Line& line, TunnelConf& conf) {
  Location& location = location_of(line.block());
  set_content(line, &run_tunnel_pass);
  location.takes_connect = location.server->takes_connect = true;
  conf.pass = Pass();
  conf.pass.is_set = true;
  std::string_view address = line.word_count() == 1 ? line.word(1) : std::string_view("$host:$request_port");
  if (address.find('$') != std::string_view::npos) {
    auto compiled = compile_text(line, address);
    if (!compiled) return compiled.error();
    conf.pass.address = std::move(*compiled);
    return Unit();
  }
  auto parsed = parse_addr(address, 0, AddrUse::connect);
  if (!parsed) return format("{} in upstream \"{}\"", parsed.error(), address);
  conf.pass.has_port = parsed->has_port;
  auto group = implicit_group(line, address, 0);
  if (!group) return group.error();
  conf.pass.group = *group;
  return Unit();
}

// A target is of its own block, but an `if` or `limit_except` inside goes where its location goes.
ConfResult<Unit> finish_tunnel(Block& block, TunnelConf& conf) {
  bool within = block.context() & (in_location_if | in_limit_except);
  if (within && !conf.pass.is_set) conf.pass = fairlead::conf<TunnelConf>(*block.parent()).pass;
  if (conf.tunnel_buffer_size == 0) return format("\"tunnel_buffer_size\" must not be 0{}\n", at_place(block.place()));
  finish_tries(conf);
  conf.next_upstream = Flags<Next>{conf.next_peer.bits};
  return Unit();
}

ConfResult<Unit> bind_groups(Generation& generation) {
  ConfResult<Unit> bound = Unit();
  each_block(generation.root(), [&](Block& block) {
    Pass& pass = fairlead::conf<TunnelConf>(block).pass;
    if (bound) bound = bind_group(generation, pass.group, pass.has_port, true);
  });
  return bound;
}

constexpr auto own_rows = std::array<Directive, 5>{
    custom<set_pass, TunnelConf>("tunnel_pass", in_server | in_location | in_location_if, words(0, 1),
                                 "Where tunnels of CONNECT requests lead to; $host:$request_port if it does not say.")
        .takes("[address]"),
    slot<TunnelConf, &TunnelConf::next_peer>("tunnel_next_upstream", in_http_any, "In which cases the next peer is tried."),
    slot<TunnelConf, &TunnelConf::tunnel_buffer_size>("tunnel_buffer_size", in_http_any, "Bytes of one read of a tunnel, either way."),
    slot<TunnelConf, &TunnelConf::allow>(
        "tunnel_allow_upstream", in_http_any,
        "A peer is connected to only if all of these are something other than nothing and 0; $upstream_last_addr is its address: "
        "of one that IPv6 maps, the IPv4 address; 0.0.0.0 and [::] lead to this host like 127.0.0.1."),
    slot<TunnelConf, &ForwardConf::send_lowat>("tunnel_send_lowat", in_http_any,
                                               "SO_SNDLOWAT of connections to peers; Linux does not let it be set."),
};

constexpr auto rows = join(connect_directives<TunnelConf, "tunnel">, own_rows);

}  // namespace
}  // namespace http_tunnel

extern constinit const Module http_tunnel_module = {
    .name = "http_tunnel",
    .conf = conf_of<http_tunnel::TunnelConf>,
    .directives = http_tunnel::rows,
    .finish = finish_of<http_tunnel::finish_tunnel, http_tunnel::TunnelConf>,
    .generation = http_tunnel::bind_groups,
};

}  // namespace fairlead
