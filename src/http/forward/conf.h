// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ForwardConf: the values that every forwarding module has (proxy_, grpc_, ...), and their rows as a bundle stamped with a prefix. What is
// particular to a protocol is its module's own.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "core/base/addr.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "http/conf/core_conf.h"
#include "http/message/header_names.h"

namespace fairlead::http {

// Reasons to try another peer; the names are nginx's.
enum class Next : uint32_t {
  none = 0,
  error = 1, timeout = 2, invalid_header = 4, http_500 = 8, http_502 = 16, http_503 = 32, http_504 = 64, http_403 = 128, http_404 = 256,
  http_429 = 512, non_idempotent = 1024, off = 2048,
  denied = 4096,  // by tunnel_allow_upstream; a word of tunnel_next_upstream only
  // By "grpc-status"; words of grpc_next_upstream only.
  grpc_cancelled = 1 << 16, grpc_deadline = 1 << 17, grpc_resource_exhausted = 1 << 18, grpc_internal = 1 << 19, grpc_unavailable = 1 << 20,
};

// Upstream headers whose meaning for us can be switched off.
enum class Ignore : uint32_t {
  x_accel_redirect = 1,
  x_accel_expires = 2,
  x_accel_limit_rate = 4,
  x_accel_buffering = 8,
  x_accel_charset = 16,
  expires = 32,
  cache_control = 64,
  set_cookie = 128,
  vary = 256,
};

struct RetryBackoff {
  uint64_t base_ms = 0;  // 0: no pause between tries
  uint64_t max_ms = 0;
};

struct BindAddress {
  Template address;  // empty: off
  bool transparent = false;
};

// Bytes a second, known when a request is there; what is no size limits nothing.
struct Rate {
  std::optional<uint64_t> bytes = 0;  // a text without variables says the same for all requests
  Template text{"0"};
};

// SO_SNDLOWAT of connections to peers, in bytes.
struct LowWater {
  uint64_t bytes = 0;
};

// proxy_store: where a copy of a reply's body goes.
struct StorePath {
  enum class Mode : uint8_t { off, by_uri, by_text };
  Template text;  // with by_text
  Mode mode = Mode::off;
};
// Permission bits of stored files.
struct StoreAccess {
  uint32_t mode = 0600;
};

struct ForwardConf {
  StorePath store;
  // From here on what every request asks for, close together: it comes from the second cache each time.
  Msec connect_timeout{60'000};
  Msec send_timeout{60'000};
  Msec read_timeout{60'000};
  uint64_t next_upstream_tries = 0;
  Msec try_timeout{0};
  Msec request_timeout{0};
  Size buffer_size{4096};
  uint64_t interim_max = 32;
  bool buffering = true;
  bool request_buffering = true;
  bool ignore_client_abort = false;
  bool intercept_errors = false;
  bool pass_request_headers = true;
  bool pass_request_body = true;
  bool pass_trailers = false;
  bool pass_request_trailers = false;
  bool socket_keepalive = false;
  bool force_ranges = false;
  Flags<Ignore> ignore_headers;
  HeaderNames dropped;  // made by finish_forward and finish_tries, as the next two: fields and trailers that clients do not get
  bool passes_server = false;  // Server is not among them
  bool obeys_x_accel_buffering = false;  // replies have a say: there are directives for the buffers
  Size socket_rcvbuf{0};  // 0: the system's, as the next
  Size socket_sndbuf{0};
  LowWater send_lowat;
  Rate limit_rate;
  BindAddress bind;
  // What failures, long bodies and slow clients do.
  Flags<Next> next_upstream{static_cast<uint32_t>(Next::error) | static_cast<uint32_t>(Next::timeout)};
  Msec next_upstream_timeout{0};
  bool stale_retry = true;
  RetryBackoff retry_backoff;
  Buffers buffers{8, 4096};
  Size busy_buffers_size{0};          // 0: twice a buffer
  Offset max_temp_file_size{1024 * 1024 * 1024};
  Size temp_file_write_size{0};       // 0: twice a buffer
  TempPath temp_path{places::proxy_temp, {}};
  Size replay_buffer_size{0};         // of a body that is not read ahead
  StoreAccess store_access;
  std::vector<std::string_view> hide_headers;
  std::vector<std::string_view> pass_headers;

  uint64_t largest_buffer() const { return std::max<uint64_t>(buffer_size, buffers.bytes); }
  uint64_t temp_file_write_bytes() const { return temp_file_write_size != 0 ? temp_file_write_size.bytes : 2 * largest_buffer(); }
};

}  // namespace fairlead::http

namespace fairlead {

template <>
struct EnumWords<http::Next> {
  static constexpr EnumWord<http::Next> all[] = {
      {"error", http::Next::error}, {"timeout", http::Next::timeout}, {"invalid_header", http::Next::invalid_header},
      {"non_idempotent", http::Next::non_idempotent}, {"http_500", http::Next::http_500}, {"http_502", http::Next::http_502},
      {"http_503", http::Next::http_503}, {"http_504", http::Next::http_504}, {"http_403", http::Next::http_403},
      {"http_404", http::Next::http_404}, {"http_429", http::Next::http_429}, {"off", http::Next::off}};
};
template <>
struct EnumWords<http::Ignore> {
  static constexpr EnumWord<http::Ignore> all[] = {{"X-Accel-Redirect", http::Ignore::x_accel_redirect},
                                                   {"X-Accel-Expires", http::Ignore::x_accel_expires},
                                                   {"X-Accel-Limit-Rate", http::Ignore::x_accel_limit_rate},
                                                   {"X-Accel-Buffering", http::Ignore::x_accel_buffering},
                                                   {"X-Accel-Charset", http::Ignore::x_accel_charset},
                                                   {"Expires", http::Ignore::expires},
                                                   {"Cache-Control", http::Ignore::cache_control},
                                                   {"Set-Cookie", http::Ignore::set_cookie},
                                                   {"Vary", http::Ignore::vary}};
};
// "base=25ms [max=250ms]" or "off".
template <>
struct ConfValue<http::RetryBackoff> {
  static constexpr WordCount words{1, 2};
  static constexpr std::string_view type = "off | base=time [max=time]";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::RetryBackoff& field);
};
template <>
struct ConfValue<http::BindAddress> {
  static constexpr WordCount words{1, 2};
  static constexpr std::string_view type = "address [transparent] | off";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::BindAddress& field);
};
template <>
struct ConfValue<http::Rate> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "rate";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::Rate& field);
  static std::string show(const http::Rate& field) { return ConfValue<Template>::show(field.text); }
};
template <>
struct ConfValue<http::LowWater> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "size";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::LowWater& field);
};
template <>
struct ConfValue<http::StorePath> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "on | off | path";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::StorePath& field);
};
template <>
struct ConfValue<http::StoreAccess> {
  static constexpr WordCount words{1, 3};
  static constexpr std::string_view type = "users:permissions ...";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::StoreAccess& field);
};
// A list of names, one per line.
template <>
struct ConfValue<std::vector<std::string_view>> {
  static constexpr WordCount words{1, 1};
  static constexpr std::string_view type = "name";
  static constexpr bool repeatable = true;
  static ConfResult<Unit> parse(Line& line, std::vector<std::string_view>& field) {
    field.push_back(line.word(1));
    return Unit();
  }
};

namespace http {

// For the `finish` of every forwarding module: defaults of sizes that depend on others, nginx's checks of combinations, and what can be
// settled before any request comes. `prefix`: "proxy".
ConfResult<Unit> finish_forward(Block& block, ForwardConf& conf, std::string_view prefix);
// The same without the sizes, for modules that have no directives for them.
void finish_tries(ForwardConf& conf);

// Whatever goes to a peer.
template <class Conf, FixedText P>
constexpr auto connect_directives = std::array<Directive, 10>{
    slot<Conf, &ForwardConf::connect_timeout>(joined_name<P, "_connect_timeout">, in_http_any, "Time to connect to a peer."),
    slot<Conf, &ForwardConf::send_timeout>(joined_name<P, "_send_timeout">, in_http_any, "Time between two writes to a peer."),
    slot<Conf, &ForwardConf::read_timeout>(joined_name<P, "_read_timeout">, in_http_any, "Time between two reads from a peer."),
    slot<Conf, &ForwardConf::next_upstream_tries>(joined_name<P, "_next_upstream_tries">, in_http_any,
                                                  "Most tries of a request, 0: each peer once."),
    slot<Conf, &ForwardConf::next_upstream_timeout>(joined_name<P, "_next_upstream_timeout">, in_http_any,
                                                    "How long after the first try another one may begin, 0: always."),
    slot<Conf, &ForwardConf::retry_backoff>(joined_name<P, "_retry_backoff">, in_http_any, "Random pause before another try.")
        .usual("off"),
    slot<Conf, &ForwardConf::socket_keepalive>(joined_name<P, "_socket_keepalive">, in_http_any, "SO_KEEPALIVE on connections to peers."),
    slot<Conf, &ForwardConf::bind>(joined_name<P, "_bind">, in_http_any, "Local address of connections to peers.")
        .usual("off"),
    slot<Conf, &ForwardConf::socket_rcvbuf>(joined_name<P, "_socket_rcvbuf">, in_http_any,
                                            "SO_RCVBUF of connections to peers, 0: the system's."),
    slot<Conf, &ForwardConf::socket_sndbuf>(joined_name<P, "_socket_sndbuf">, in_http_any,
                                            "SO_SNDBUF of connections to peers, 0: the system's."),
};

// What those have besides that pass messages.
template <class Conf, FixedText P>
constexpr auto message_directives = std::array<Directive, 12>{
    slot<Conf, &ForwardConf::stale_retry>(joined_name<P, "_stale_retry">, in_http_any,
                                          "Send again, whatever its method, what was not read by a peer that ended a kept connection."),
    slot<Conf, &ForwardConf::try_timeout>(joined_name<P, "_try_timeout">, in_http_any,
                                          "Time of one try until the head of its reply, 0: no limit."),
    slot<Conf, &ForwardConf::request_timeout>(joined_name<P, "_request_timeout">, in_http_any,
                                              "Time of all tries together, with finding the name of a peer before them, 0: no limit."),
    slot<Conf, &ForwardConf::ignore_client_abort>(joined_name<P, "_ignore_client_abort">, in_http_any, "Go on when the client has left."),
    slot<Conf, &ForwardConf::intercept_errors>(joined_name<P, "_intercept_errors">, in_http_any,
                                               "Let error_page answer for replies of 300 and above."),
    slot<Conf, &ForwardConf::buffer_size>(joined_name<P, "_buffer_size">, in_http_any, "Largest head of a reply."),
    slot<Conf, &ForwardConf::interim_max>(joined_name<P, "_max_interim_responses">, in_http_any,
                                          "Most interim responses (1xx) ahead of a reply; with more the reply is invalid."),
    slot<Conf, &ForwardConf::ignore_headers>(joined_name<P, "_ignore_headers">, in_http_any,
                                             "Reply header fields whose meaning is ignored."),
    slot<Conf, &ForwardConf::hide_headers>(joined_name<P, "_hide_header">, in_http_any, "A reply header field that clients do not get."),
    slot<Conf, &ForwardConf::pass_headers>(joined_name<P, "_pass_header">, in_http_any,
                                           "A reply header field that clients get though it is hidden by default."),
    slot<Conf, &ForwardConf::pass_request_trailers>(joined_name<P, "_pass_request_trailers">, in_http_any,
        "Send the trailers of the client's body on, where it goes in chunks or over HTTP/2; not those that the head may not hold (fields "
        "that other lines set or drop), nor names that are known to the server or hold more than letters, digits and hyphens."),
    slot<Conf, &ForwardConf::replay_buffer_size>(joined_name<P, "_replay_buffer_size">, in_http_any,
                                                 "How much of a body sent on as it arrives is kept for another try or upstream, 0: none."),
};

template <class Conf, FixedText P>
constexpr auto try_directives = join(connect_directives<Conf, P>, message_directives<Conf, P>);

// What those have besides whose bodies may be read ahead, cut and stored.
template <class Conf, FixedText P>
constexpr auto buffering_directives = std::array<Directive, 16>{
    slot<Conf, &ForwardConf::next_upstream>(joined_name<P, "_next_upstream">, in_http_any, "In which cases the next peer is tried."),
    slot<Conf, &ForwardConf::buffering>(joined_name<P, "_buffering">, in_http_any, "Read replies ahead of a slow client."),
    slot<Conf, &ForwardConf::request_buffering>(joined_name<P, "_request_buffering">, in_http_any,
                                                "Read the whole request body before it is sent on."),
    slot<Conf, &ForwardConf::pass_request_headers>(joined_name<P, "_pass_request_headers">, in_http_any,
                                                   "Send the client's header fields on."),
    slot<Conf, &ForwardConf::pass_request_body>(joined_name<P, "_pass_request_body">, in_http_any, "Send the client's body on."),
    slot<Conf, &ForwardConf::pass_trailers>(joined_name<P, "_pass_trailers">, in_http_any, "Send the reply's trailers on."),
    slot<Conf, &ForwardConf::force_ranges>(joined_name<P, "_force_ranges">, in_http_any, "Allow byte ranges whatever the reply says."),
    slot<Conf, &ForwardConf::buffers>(joined_name<P, "_buffers">, in_http_any,
                                      "How much of a reply is kept in memory while its client is slow."),
    slot<Conf, &ForwardConf::busy_buffers_size>(joined_name<P, "_busy_buffers_size">, in_http_any,
                                                "How much of it may be on its way to the client, 0: two buffers."),
    slot<Conf, &ForwardConf::max_temp_file_size>(joined_name<P, "_max_temp_file_size">, in_http_any,
                                                 "How much of it may go to a file, 0: nothing."),
    slot<Conf, &ForwardConf::temp_file_write_size>(joined_name<P, "_temp_file_write_size">, in_http_any,
                                                   "How much is written to that file at once, 0: two buffers."),
    slot<Conf, &ForwardConf::temp_path>(joined_name<P, "_temp_path">, in_http_any, "Folder for replies that do not fit in memory."),
    slot<Conf, &ForwardConf::limit_rate>(joined_name<P, "_limit_rate">, in_http_any, "Bytes per second read from a peer, 0: no limit."),
    slot<Conf, &ForwardConf::send_lowat>(joined_name<P, "_send_lowat">, in_http_any,
                                         "SO_SNDLOWAT of connections to peers; Linux does not let it be set."),
    slot<Conf, &ForwardConf::store>(joined_name<P, "_store">, in_http_any,
                                    "Keeps a copy of each reply of status 200: below root or alias, or where the path says.")
        .usual("off"),
    slot<Conf, &ForwardConf::store_access>(joined_name<P, "_store_access">, in_http_any, "Who may read and write stored files.")
        .usual("user:rw"),
};

template <class Conf, FixedText P>
constexpr auto forward_directives = join(try_directives<Conf, P>, buffering_directives<Conf, P>);

}  // namespace http
}  // namespace fairlead
