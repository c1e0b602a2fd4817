// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_grpc: grpc_pass and everything named grpc_*. Forwarding is the engine's, HTTP/2 too; this is what gRPC adds: the fields of a call,
// its deadline, tries by "grpc-status", errors of ours in the form that a gRPC client understands, and gRPC-Web.
#include <algorithm>
#include <iterator>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "http/conf/location.h"
#include "http/conf/variables.h"
#include "http/hooks.h"
#include "http/message/status.h"
#include "modules/http_grpc/cors.h"
#include "modules/http_grpc/grpc.h"

namespace fairlead {

namespace http::grpc {
static constexpr EnumWord<NextPeer> word(std::string_view text, Next bit) {
  return {text, static_cast<NextPeer>(static_cast<uint32_t>(bit))};
}
}  // namespace http::grpc

template <>
struct EnumWords<http::grpc::NextPeer> {
  using Next = http::Next;
  static constexpr EnumWord<http::grpc::NextPeer> all[] = {
      http::grpc::word("error", Next::error),
      http::grpc::word("timeout", Next::timeout),
      http::grpc::word("invalid_header", Next::invalid_header),
      http::grpc::word("non_idempotent", Next::non_idempotent),
      http::grpc::word("http_500", Next::http_500),
      http::grpc::word("http_502", Next::http_502),
      http::grpc::word("http_503", Next::http_503),
      http::grpc::word("http_504", Next::http_504),
      http::grpc::word("http_403", Next::http_403),
      http::grpc::word("http_404", Next::http_404),
      http::grpc::word("http_429", Next::http_429),
      http::grpc::word("off", Next::off),
      http::grpc::word("grpc_cancelled", Next::grpc_cancelled),
      http::grpc::word("grpc_deadline", Next::grpc_deadline),
      http::grpc::word("grpc_resource_exhausted", Next::grpc_resource_exhausted),
      http::grpc::word("grpc_internal", Next::grpc_internal),
      http::grpc::word("grpc_unavailable", Next::grpc_unavailable),
  };
};

}  // namespace fairlead

namespace fairlead::http::grpc {
bool GrpcConf::lists_grpc_status() const {
  constexpr Next all[] = {Next::grpc_cancelled, Next::grpc_deadline, Next::grpc_resource_exhausted, Next::grpc_internal,
                          Next::grpc_unavailable};
  return std::any_of(std::begin(all), std::end(all), [&](Next one) { return next_upstream.has(one); });
}

namespace {

ConfResult<Unit> set_pass(Line& line, GrpcConf& conf) {
  Location& location = location_of(line.block());
  conf.pass = Pass();
  conf.pass.is_set = true;
  set_content(line, &run_grpc);
  location.redirects_without_slash = location.name.ends_with('/');
  std::string_view url = line.word(1);
  if (url.find('$') != std::string_view::npos) {
    auto compiled = compile_word(line, 1);
    if (!compiled) return compiled.error();
    conf.pass.url = std::move(*compiled);
    return Unit();
  }
  conf.pass.is_secure = starts_with_nocase(url, "grpcs://");
  std::string_view authority = conf.pass.is_secure ? url.substr(8) : starts_with_nocase(url, "grpc://") ? url.substr(7) : url;
  if (!authority.starts_with("unix:") && authority.find('/') != std::string_view::npos)
    return format("invalid host in upstream \"{}\"", authority);  // there is no URI part
  auto parsed = parse_addr(authority, 0, AddrUse::connect);
  if (!parsed) return format("{} in upstream \"{}\"", parsed.error(), authority);
  conf.pass.authority = authority.starts_with("unix:") ? std::string_view("localhost") : authority;
  conf.pass.has_port = parsed->has_port;
  auto group = implicit_group(line, authority, 0);
  if (!group) return group.error();
  conf.pass.group = *group;
  return Unit();
}

ConfResult<Unit> finish_grpc(Block& block, GrpcConf& conf) {
  if ((block.context() & in_location_if) && !conf.pass.is_set) conf.pass = fairlead::conf<GrpcConf>(*block.parent()).pass;
  FL_TRY(h2::check_peer_limits(block, conf, "grpc_http2"));
  finish_tries(conf);
  conf.next_upstream = Flags<Next>{conf.next_peer.bits};
  if (conf.set_header_inherit == SetHeaderInherit::merge && block.is_set("grpc_set_header") && block.parent())
    merge_headers(conf.set_headers, fairlead::conf<GrpcConf>(*block.parent()).set_headers);
  conf.replaced = HeaderNames();
  for (const SetHeader& header : conf.set_headers) conf.replaced.add(header.name);
  return Unit();
}

ConfResult<Unit> bind_targets(Generation& generation) {
  ConfResult<Unit> bound = Unit();
  each_block(generation.root(), [&](Block& block) {
    Pass& pass = fairlead::conf<GrpcConf>(block).pass;
    if (bound) bound = bind_group(generation, pass.group, pass.has_port, true);
    if (bound) bound = bind_tls<GrpcConf>(generation, block, "grpc_ssl", pass.is_secure || pass.url.is_set());
  });
  return bound;
}

// -- answers of ours: status 200 and a "grpc-status", in one head --

bool is_wanted(const Block& block) { return fairlead::conf<GrpcConf>(block).pass.is_set; }

// The answer is its head: a length would belong to a body. In HTTP/1, where nothing else says that there is none, it is 0.
class NoBody final : public Body {
 public:
  Poll poll(Chunk&) override { return Poll::end; }
  Task<Result<Unit>> ready() override { co_return Unit(); }
};

constexpr size_t message_bytes_max = 1024;

// The text of an answer that is small and in memory; nothing is sent of its body any more.
std::string_view short_text(Response& response, Arena& arena) {
  if (response.head.headers.has(KnownHeader::content_encoding)) return {};
  std::optional<uint64_t> bytes = response.body ? response.body->size() : std::nullopt;
  Chunk text;
  if (!bytes || *bytes > message_bytes_max || response.body->poll(text) != Poll::ready) return {};
  if (text.is_file() || text.size() != *bytes) return {};
  std::string_view line = text.bytes.view();
  return arena.copy(line.substr(0, line.find_last_not_of("\r\n") + 1));
}

// A script or a `return` of the configuration may have answered in the client's own words.
bool speaks_grpc(const Response& response) {
  const Headers::Field* type = response.head.headers.find(KnownHeader::content_type);
  return response.head.headers.find("grpc-status") || is_grpc_type(type ? type->value : response.content_type);
}

// Whatever answered in the place of a peer (an error page, `return`, a check that denies, a fault). Not subrequests: their status is what
// whoever made them looks at.
void speak_grpc(Request& request) {
  Response& response = request.response;
  if (response.is_reply || request.is_subrequest || !is_grpc_request(request)) return;
  WebKind web = web_kind_of(request);
  if (!response.is_error_page && speaks_grpc(response)) {
    if (web != WebKind::none) response.content_type = web_type_of(response.content_type, web, request.arena());
    return;
  }
  unsigned status = response.status();
  bool late = request.fail_reason == "DT";
  Code code = late ? Code::deadline_exceeded : code_of_status(status);
  std::string_view text = response.is_error_page ? std::string_view() : short_text(response, request.arena());
  request.error_status = 0;
  response.head.status = 200;
  response.head.reason = {};
  if (response.is_error_page) response.head.headers.clear();
  response.head.headers.remove(KnownHeader::content_type);
  response.head.headers.remove(KnownHeader::content_encoding);
  response.head.headers.add("grpc-status", request.arena().copy(format("{}", static_cast<unsigned>(code))));
  std::string_view message = late ? "deadline exceeded" : text.empty() ? reason_phrase(status) : text;
  response.head.headers.add("grpc-message", request.arena().copy(encode_message(message)));
  response.content_type = web == WebKind::none ? "application/grpc" : web_type_of("application/grpc", web, request.arena());
  response.head.framing.content_length = request.head.version_major < 2 ? 0 : no_length;
  response.head_only = true;
  response.body = request.arena().make<NoBody>();
}

// -- replies to gRPC-Web clients --

bool is_web(const Block& block) { return is_wanted(block) && fairlead::conf<GrpcConf>(block).web; }

void speak_web(Request& request) {
  Response& response = request.response;
  WebKind web = web_kind_of(request);
  if (web == WebKind::none || response.is_error_page) return;
  const Headers::Field* type = response.head.headers.find(KnownHeader::content_type);
  if (!type || !is_grpc_type(type->value)) return;
  response.head.headers.set(KnownHeader::content_type, web_type_of(type->value, web, request.arena()));
  response.head.framing.content_length = no_length;
  response.body = request.arena().make<WebBody>(*response.body, web);
}

// -- variables: of the trailers, of a reply without them, or of our own answer --

Value status_field(Session& session, uintptr_t wants_message) {
  const Request& request = as_request(session);
  std::string_view wanted = wants_message ? "grpc-message" : "grpc-status";
  for (const Headers* from : {request.upstream_trailers, request.upstream_headers, &request.response.head.headers}) {
    const Headers::Field* field = from ? from->find(wanted) : nullptr;
    if (field) return Value{field->value};
  }
  return Value::missing();
}

constexpr auto own_rows = std::array<Directive, 6>{
    custom<set_pass, GrpcConf>("grpc_pass", in_location | in_location_if, words(1),
                               "Where gRPC calls are forwarded to. What else answers a call here does so as a gRPC error.")
        .takes("address"),
    slot<GrpcConf, &GrpcConf::next_peer>("grpc_next_upstream", in_http_any, "In which cases the next peer is tried."),
    slot<GrpcConf, &GrpcConf::web>("grpc_web", in_http_any, "Translate calls of gRPC-Web clients (browsers)."),
    custom<set_web_origins, GrpcConf, &GrpcConf::web_origins>(
        "grpc_web_allow_origin", in_http_any, words_from(1),
        "Origins whose pages may make calls of gRPC-Web (CORS): preflights are answered here, and responses say who may see them.")
        .takes("off | * | origin ...").usual("off"),
    slot<GrpcConf, &GrpcConf::set_headers>("grpc_set_header", in_http_any,
                                           "A header field of the call to the peer; an empty value drops it."),
    slot<GrpcConf, &GrpcConf::set_header_inherit>("grpc_set_header_inherit", in_http_any,
        "Whether grpc_set_header lines of outer blocks hold only where there are none, or also beside own ones of other names.")
        .takes("on | merge"),
};

constexpr auto peer_rows = join(tls_client_directives<GrpcConf, "grpc_ssl", in_http_any>, h2::peer_directives<GrpcConf, "grpc_http2">);
constexpr auto rows = join(try_directives<GrpcConf, "grpc">, peer_rows, own_rows);

constexpr VariableDef variables[] = {
    {.name = "grpc_status", .get = &status_field, .flags = variable_volatile | variable_changeable, .engines = http_variable},
    {.name = "grpc_message", .get = &status_field, .flags = variable_volatile | variable_changeable, .engines = http_variable, .datum = 1},
};

constexpr ResponseFilter filters[] = {{.stage = Stage::script, .apply = &speak_grpc, .applies = &is_wanted},
                                      {.stage = Stage::headers, .apply = &tell_origin, .applies = &answers_origins},
                                      {.stage = Stage::content, .apply = &speak_web, .applies = &is_web}};
constexpr PhaseEntry phases[] = {{.phase = Phase::preaccess, .check = &answer_preflight, .applies = &answers_origins, .leads = true}};
constexpr Hooks hooks = {.phases = phases, .filters = filters};

}  // namespace
}  // namespace fairlead::http::grpc

namespace fairlead {

extern constinit const Module http_grpc_module = {
    .name = "http_grpc",
    .conf = conf_of<http::grpc::GrpcConf>,
    .directives = http::grpc::rows,
    .variables = http::grpc::variables,
    .finish = finish_of<http::grpc::finish_grpc, http::grpc::GrpcConf>,
    .generation = http::grpc::bind_targets,
    .http = &http::grpc::hooks,
};

}  // namespace fairlead
