// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Variables of the request and of the response to it.
#include <cerrno>
#include <cstdlib>
#include <ctime>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/session_vars.h"
#include "http/conf/core_conf.h"
#include "http/conf/variables.h"
#include "http/message/basic_credentials.h"
#include "http/message/status.h"
#include "http/request/detached.h"
#include "http/request/file_path.h"
#include "http/request/id.h"
#include "http/request/read_body.h"
#include "http/request/request.h"
#include "http/request/response.h"
#include "http/request/spool.h"

namespace fairlead::http {
namespace {

std::string_view name_of(uintptr_t datum) { return *reinterpret_cast<const std::string_view*>(datum); }
template <KnownHeader Known>
constexpr uintptr_t known_datum = static_cast<uintptr_t>(Known);

// -- the request line --

// Missing where it is empty, as nginx has it: a log says "-", a script gets nil.
Value known_or_missing(std::string_view text) { return !text.empty() ? Value{text} : Value::missing(); }
// Not there is only what never was: a rewrite may leave an empty text.
Value unless_never_set(std::string_view text) { return text.data() ? Value{text} : Value::missing(); }

// Those of a request line are missing where they are empty; those that were set so are not.
Value get_args(Session& session, uintptr_t) { return unless_never_set(as_request(session).args); }
void set_args(Session& session, std::string_view text, uintptr_t) {
  Request& request = as_request(session);
  request.args = text;
  request.uri_changed = true;
}
Value get_is_args(Session& session, uintptr_t) { return Value{as_request(session).args.empty() ? "" : "?"}; }
Value get_argument(Session& session, uintptr_t datum) { return find_argument(as_request(session).args, name_of(datum)); }
// Missing where no request line came to its end.
Value get_uri(Session& session, uintptr_t) { return unless_never_set(as_request(session).uri); }
Value get_request_uri(Session& session, uintptr_t) { return known_or_missing(as_request(session).head.request_uri); }
// The client's, also in a subrequest.
Value get_request_method(Session& session, uintptr_t) {
  return known_or_missing(as_request(session).origin().method_text);
}
// Empty for HTTP/0.9, which does not name itself.
Value get_server_protocol(Session& session, uintptr_t) {
  const RequestHead& head = as_request(session).head;
  if (!head.protocol.empty() || head.version_major < 2) return known_or_missing(head.protocol);
  return text_value(session, format("HTTP/{}.{}", head.version_major, head.version_minor));
}
// HTTP/2 has no such line: it is put together.
Value get_request(Session& session, uintptr_t) {
  Request& request = as_request(session);
  const RequestHead& head = request.head;
  if (!head.request_line.empty()) return Value{head.request_line};
  if (head.version_major >= 2 && head.request_uri.empty()) return Value::missing();  // of a malformed head
  if (head.method_text.empty()) return Value{};
  return Value{request.arena().join({head.method_text, " ", head.request_uri, " ", get_server_protocol(session, 0).text})};
}
Value get_request_length(Session& session, uintptr_t) {
  Request& request = as_request(session);
  return number_value(session, request.head.bytes + request.exchange.received_body_bytes());
}
Value get_request_time(Session& session, uintptr_t) {
  Request& request = as_request(session);
  return seconds_value(session, request.loop().now_ms() - request.started_ms);
}
// Read in the log phase it says whether the client has the whole response.
Value get_request_completion(Session& session, uintptr_t) {
  Request& request = as_request(session);
  return Value{request.exchange.head_sent() && !request.exchange.is_broken() ? "OK" : ""};
}
// The form is that of server side includes that set none.
Value get_date(Session& session, uintptr_t is_local) {
  time_t now = clock().seconds();
  std::tm parts{};
  if (is_local) localtime_r(&now, &parts);
  else gmtime_r(&now, &parts);
  char text[64];
  return text_value(session, {text, std::strftime(text, sizeof text, "%A, %d-%b-%Y %H:%M:%S %Z", &parts)});
}
Value get_request_id(Session& session, uintptr_t) { return Value{request_id(as_request(session))}; }

// Only what was read before it was used, and only while it is in memory: nginx gives nothing of a body that lies in a file.
Value get_request_body(Session& session, uintptr_t) {
  Request& request = as_request(session);
  if (!names_body(request) || !request.spooled_body || !request.spooled_body->is_in_memory()) return Value::missing();
  return Value{request.spooled_body->text(request.arena())};
}
Value get_request_body_file(Session& session, uintptr_t) {
  Request& request = as_request(session);
  if (!request.spooled_body || request.spooled_body->file_name().empty()) return Value::missing();
  return text_value(session, request.spooled_body->file_name());
}

// -- fields of the request --

Value get_host(Session& session, uintptr_t) { return Value{as_request(session).host()}; }
// The port that the client named, in the request line or Host; and the colon to stand before it.
Value get_request_port(Session& session, uintptr_t) {
  uint16_t port = as_request(session).head.port;
  return port ? number_value(session, port) : Value{};
}
Value get_is_request_port(Session& session, uintptr_t) { return Value{as_request(session).head.port ? ":" : ""}; }
Value get_known_field(Session& session, uintptr_t datum) {
  const Headers& headers = as_request(session).head.headers;
  KnownHeader known = static_cast<KnownHeader>(datum);
  return headers.has(known) ? Value{headers.joined(known)} : Value::missing();
}
// The request whose body's framing this one shows. The head of a subrequest leaves out the fields that frame a body, so that none of them
// is passed on: without a body of its own it shows those of the request that it is a part of, as in nginx.
Request& framed_request(Request& request) {
  Request* at = &request;
  auto shows_parents = [](Request& one) {
    return one.is_subrequest && one.parent && !names_body(one) && !one.find_slot<FramingFields>();
  };
  while (shows_parents(*at)) at = &as_request(*at->parent);
  return *at;
}
Value get_framing_field(Session& session, uintptr_t datum) {
  Request& request = framed_request(as_request(session));
  Value own = get_known_field(request, datum);
  if (own.found || !request.is_subrequest || request.parent) return own;
  const FramingFields* asked = request.find_slot<FramingFields>();
  if (!asked) return own;
  bool is_length = static_cast<KnownHeader>(datum) == KnownHeader::content_length;
  return known_or_missing(is_length ? asked->content_length : asked->transfer_encoding);
}
// Also of a chunked body, once it was read.
Value get_content_length(Session& session, uintptr_t) {
  Request& request = framed_request(as_request(session));
  Value field = get_framing_field(request, known_datum<KnownHeader::content_length>);
  if (field.found) return field;
  if (request.is_subrequest && request.head.framing.content_length != no_length)
    return number_value(session, static_cast<uint64_t>(request.head.framing.content_length));
  if (!request.head.framing.chunked || !request.spooled_body || !request.spooled_body->is_replayable()) return Value::missing();
  uint64_t bytes = 0;
  for (const Chunk& chunk : request.spooled_body->kept()) bytes += chunk.size();
  return number_value(session, bytes);
}
Value get_field(Session& session, uintptr_t datum) { return field_value(as_request(session).head.headers, name_of(datum)); }
Value get_cookie(Session& session, uintptr_t datum) { return find_cookie(as_request(session).head.headers, name_of(datum)); }
Value get_remote_user(Session& session, uintptr_t) {
  auto credentials = parse_basic_credentials(as_request(session).head.headers.value(KnownHeader::authorization));
  return credentials ? text_value(session, credentials->user) : Value::missing();
}

// -- files: nothing is opened --

Value get_document_root(Session& session, uintptr_t) { return Value{root_path(as_request(session))}; }
// Asks the file system each time it is not cached; missing if the folder does not exist.
Value get_realpath_root(Session& session, uintptr_t) {
  Request& request = as_request(session);
  char* path = realpath(request.arena().copy_z(root_path(request)), nullptr);
  if (!path) {
    request.logger.crit(Errno{errno}, "realpath() \"{}\" failed", root_path(request));
    return Value::missing();
  }
  Value value = text_value(session, path);
  free(path);
  return value;
}
Value get_request_filename(Session& session, uintptr_t) {
  Request& request = as_request(session);
  std::string_view path = shown_path(request, request.uri);
  return path.empty() ? Value::missing() : Value{path};
}

// -- the response --

Value get_status(Session& session, uintptr_t) {
  Request& request = as_request(session);
  unsigned status = wire_status(request.error_status ? request.error_status : request.response.head.status);
  if (!request.error_status && request.exchange.head_sent()) status = request.response.head.status;
  if (request.head.version_major == 0 && status == 0) status = 9;
  char text[3] = {static_cast<char>('0' + status / 100), static_cast<char>('0' + status / 10 % 10), static_cast<char>('0' + status % 10)};
  return text_value(session, {text, sizeof text});
}
Value get_bytes_sent(Session& session, uintptr_t) { return number_value(session, as_request(session).exchange.sent_bytes()); }
Value get_body_bytes_sent(Session& session, uintptr_t) { return number_value(session, as_request(session).exchange.sent_body_bytes()); }

Value get_sent_content_type(Session& session, uintptr_t) {
  const Response& response = as_request(session).response;
  if (!response.content_type.empty()) return Value{response.content_type};
  if (!response.head.headers.has(KnownHeader::content_type)) return Value::missing();
  return Value{response.head.headers.value(KnownHeader::content_type)};
}
Value get_sent_content_length(Session& session, uintptr_t) {
  int64_t length = as_request(session).response.head.framing.content_length;
  return length == no_length ? Value::missing() : number_value(session, static_cast<uint64_t>(length));
}
Value get_sent_last_modified(Session& session, uintptr_t) {
  const Response& response = as_request(session).response;
  if (response.head.headers.has(KnownHeader::last_modified)) return Value{response.head.headers.value(KnownHeader::last_modified)};
  if (response.last_modified < 0 || !has_last_modified(response.head.status)) return Value::missing();
  char text[http_date_size];
  format_http_date(response.last_modified, text);
  return text_value(session, {text, http_date_size});
}
Value get_sent_etag(Session& session, uintptr_t) {
  const Response& response = as_request(session).response;
  if (!response.etag.empty()) return Value{response.etag};
  return field_value(response.head.headers, "etag");
}
bool stays_alive(const Request& request) { return request.response.keep_alive && request.head.framing.keep_alive; }
Value get_sent_connection(Session& session, uintptr_t) {
  Request& request = as_request(session);
  if (request.response.head.status == 101) return Value{"upgrade"};
  return Value{stays_alive(request) ? "keep-alive" : "close"};
}
Value get_sent_keep_alive(Session& session, uintptr_t) {
  Request& request = as_request(session);
  const CoreConf& core = conf<CoreConf>(request);
  if (!stays_alive(request) || !core.keepalive_header) return Value::missing();
  return text_value(session, format("timeout={}", core.keepalive_header.s));
}
Value get_sent_transfer_encoding(Session& session, uintptr_t) {
  Request& request = as_request(session);
  return request.exchange.head_sent() && is_chunked(request) ? Value{"chunked"} : Value::missing();
}
Value get_sent_field(Session& session, uintptr_t datum) { return field_value(as_request(session).response.head.headers, name_of(datum)); }
Value get_sent_trailer(Session& session, uintptr_t datum) {
  const Body* body = as_request(session).response.body;
  const Headers* trailers = body ? body->trailers() : nullptr;
  return trailers ? field_value(*trailers, name_of(datum)) : Value::missing();
}

// Bytes a second. What was set at run time wins over the configuration; 0 there means no limit.
Value get_limit_rate(Session& session, uintptr_t) {
  Request& request = as_request(session);
  uint64_t rate = request.response.rate_bytes;
  if (rate == UINT64_MAX) return Value{"0"};
  if (rate == 0) rate = parse_size(conf<CoreConf>(request).limit_rate.evaluate(request), SizeUnits::up_to_mega).value_or(0);
  return number_value(session, rate);
}
void set_limit_rate(Session& session, std::string_view text, uintptr_t) {
  Request& request = as_request(session);
  auto rate = parse_size(text, SizeUnits::up_to_mega);
  if (!rate) request.logger.error("invalid $limit_rate \"{}\"", text);
  else request.response.rate_bytes = *rate == 0 ? UINT64_MAX : *rate;
}

constexpr uint8_t settable = variable_volatile | variable_changeable;

constexpr VariableDef request_variables[] = {
    {"args", get_args, settable, http_variable, set_args},
    {"query_string", get_args, variable_volatile, http_variable},
    {"is_args", get_is_args, variable_volatile, http_variable},
    {"arg_", get_argument, variable_volatile | variable_prefix, http_variable},
    {"uri", get_uri, variable_volatile, http_variable},
    {"document_uri", get_uri, variable_volatile, http_variable},
    {"request_uri", get_request_uri, 0, http_variable},
    {"request", get_request, 0, http_variable},
    {"request_method", get_request_method, variable_volatile, http_variable},
    {"request_length", get_request_length, variable_volatile, http_variable},
    {"request_time", get_request_time, variable_volatile, http_variable},
    {"request_completion", get_request_completion, variable_volatile, http_variable},
    {"request_id", get_request_id, 0, http_variable},
    {"date_gmt", get_date, variable_volatile, http_variable},
    {"date_local", get_date, variable_volatile, http_variable, nullptr, 1},
    {"request_body", get_request_body, variable_volatile, http_variable},
    {"request_body_file", get_request_body_file, variable_volatile, http_variable},
    {"server_protocol", get_server_protocol, 0, http_variable},
    {"host", get_host, 0, http_variable},
    {"request_port", get_request_port, 0, http_variable},
    {"is_request_port", get_is_request_port, 0, http_variable},
    {"document_root", get_document_root, variable_volatile, http_variable},
    {"realpath_root", get_realpath_root, variable_volatile, http_variable},
    {"request_filename", get_request_filename, variable_volatile, http_variable},
    {"content_length", get_content_length, variable_volatile, http_variable},
    {"content_type", get_known_field, 0, http_variable, nullptr, known_datum<KnownHeader::content_type>},
    {"http_content_length", get_framing_field, settable, http_variable, nullptr, known_datum<KnownHeader::content_length>},
    {"http_transfer_encoding", get_framing_field, settable, http_variable, nullptr, known_datum<KnownHeader::transfer_encoding>},
    {"http_host", get_known_field, 0, http_variable, nullptr, known_datum<KnownHeader::host>},
    {"http_user_agent", get_known_field, 0, http_variable, nullptr, known_datum<KnownHeader::user_agent>},
    {"http_referer", get_known_field, 0, http_variable, nullptr, known_datum<KnownHeader::referer>},
    {"http_via", get_known_field, 0, http_variable, nullptr, known_datum<KnownHeader::via>},
    {"http_x_forwarded_for", get_known_field, 0, http_variable, nullptr, known_datum<KnownHeader::x_forwarded_for>},
    {"http_cookie", get_known_field, 0, http_variable, nullptr, known_datum<KnownHeader::cookie>},
    {"http_", get_field, variable_prefix, http_variable},
    {"cookie_", get_cookie, variable_prefix, http_variable},
    {"remote_user", get_remote_user, 0, http_variable},
    {"status", get_status, variable_volatile, http_variable},
    {"bytes_sent", get_bytes_sent, variable_volatile, http_variable},
    {"body_bytes_sent", get_body_bytes_sent, variable_volatile, http_variable},
    {"sent_http_content_type", get_sent_content_type, variable_volatile, http_variable},
    {"sent_http_content_length", get_sent_content_length, variable_volatile, http_variable},
    {"sent_http_last_modified", get_sent_last_modified, variable_volatile, http_variable},
    {"sent_http_etag", get_sent_etag, settable, http_variable},
    {"sent_http_connection", get_sent_connection, variable_volatile, http_variable},
    {"sent_http_keep_alive", get_sent_keep_alive, variable_volatile, http_variable},
    {"sent_http_transfer_encoding", get_sent_transfer_encoding, variable_volatile, http_variable},
    {"sent_http_", get_sent_field, variable_volatile | variable_prefix, http_variable},
    {"sent_trailer_", get_sent_trailer, variable_volatile | variable_prefix, http_variable},
    {"limit_rate", get_limit_rate, settable, http_variable, set_limit_rate},
};

}  // namespace

constinit const Module http_request_variables_module = {
    .name = "http_request_variables",
    .variables = request_variables,
};

}  // namespace fairlead::http
