// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/conf.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/conf/block.h"
#include "http/conf/core_conf.h"

namespace fairlead::http::h2 {

ServerRules rules_of(const H2Conf& own, const CoreConf& core, const HeadRules& head) {
  ServerRules rules;
  rules.head = head;
  SessionRules& session = rules.session;
  session.streams_max = static_cast<uint32_t>(own.max_concurrent_streams);
  session.stream_window_bytes = static_cast<uint32_t>(own.body_preread_size.bytes);
  session.chunk_bytes = static_cast<uint32_t>(own.chunk_size.bytes);
  session.head_list_bytes_max = head.head_bytes_max;
  session.send_timeout_ms = core.send_timeout;
  session.conduct.resets_max = static_cast<uint32_t>(own.max_resets);
  session.conduct.control_frames_max = static_cast<uint32_t>(own.max_control_frames);
  session.conduct.refused_max = std::max(session.streams_max, 100u);
  rules.read_bytes_max = own.recv_buffer_size.bytes;
  rules.header_timeout_ms = core.client_header_timeout;
  rules.keepalive_timeout_ms = core.keepalive_timeout;
  rules.lingering_time_ms = core.lingering_close == Lingering::off ? 0 : core.lingering_time.ms;
  rules.lingering_timeout_ms = core.lingering_timeout;
  return rules;
}

namespace {

ConfResult<Unit> warn_obsolete(Line& line, std::string_view instead) {
  line.warn(format("the \"{}\" directive is obsolete, use the \"{}\" directive instead", line.name(), instead));
  return Unit();
}
ConfResult<Unit> use_keepalive_timeout(Line& line, H2Conf&) { return warn_obsolete(line, "keepalive_timeout"); }
ConfResult<Unit> use_keepalive_requests(Line& line, H2Conf&) { return warn_obsolete(line, "keepalive_requests"); }
ConfResult<Unit> use_header_timeout(Line& line, H2Conf&) { return warn_obsolete(line, "client_header_timeout"); }
ConfResult<Unit> use_header_buffers(Line& line, H2Conf&) { return warn_obsolete(line, "large_client_header_buffers"); }
ConfResult<Unit> ignore_push(Line& line, H2Conf&) {
  line.warn(format("the \"{}\" directive is obsolete, ignored", line.name()));
  return Unit();
}

ConfResult<Unit> finish_h2(Block& block, H2Conf& own) {
  std::string at = at_place(block.place());
  if (own.max_concurrent_streams == 0 || own.max_concurrent_streams > INT32_MAX)
    return format("invalid \"http2_max_concurrent_streams\"{}", at);
  if (own.chunk_size.bytes == 0) return format("the http2 chunk size cannot be zero{}", at);
  if (own.chunk_size.bytes > 16'777'215) return format("the maximum http2 chunk size is 16777215{}", at);
  if (own.body_preread_size.bytes > INT32_MAX) return format("the maximum body preread buffer size is {}{}", INT32_MAX, at);
  if (own.max_resets == 0 || own.max_resets > UINT32_MAX) return format("invalid \"http2_max_resets\"{}", at);
  if (own.max_control_frames == 0 || own.max_control_frames > UINT32_MAX) return format("invalid \"http2_max_control_frames\"{}", at);
  return Unit();
}

constexpr uint32_t outer = in_http | in_server;
constexpr std::string_view obsolete = "Obsolete as in nginx: accepted with a warning that names what to use.";

constexpr Directive rows[] = {
    slot<H2Conf, &H2Conf::on>("http2", outer, "Speak HTTP/2 with clients that begin with it."),
    slot<H2Conf, &H2Conf::max_concurrent_streams>("http2_max_concurrent_streams", outer, "Most requests at once on one connection."),
    slot<H2Conf, &H2Conf::chunk_size>("http2_chunk_size", in_http_any, "Largest piece of a response's body in one frame."),
    slot<H2Conf, &H2Conf::body_preread_size>("http2_body_preread_size", outer,
                                             "How much of a request's body a client may send before it is read."),
    slot<H2Conf, &H2Conf::recv_buffer_size>("http2_recv_buffer_size", in_http,
                                            "How much is read from one connection before others have their turn."),
    slot<H2Conf, &H2Conf::max_resets>("http2_max_resets", outer,
                                      "Requests that a client may give up; a tenth comes back each second, one with each that it takes."),
    slot<H2Conf, &H2Conf::max_control_frames>(
        "http2_max_control_frames", outer,
        "Frames without a message that a client may send; a tenth comes back each second, two with each message frame sent."),
    custom<use_keepalive_timeout, H2Conf>("http2_idle_timeout", outer, words(1), obsolete).takes("time"),
    custom<use_keepalive_requests, H2Conf>("http2_max_requests", outer, words(1), obsolete).takes("number"),
    custom<use_header_timeout, H2Conf>("http2_recv_timeout", outer, words(1), obsolete).takes("time"),
    custom<use_header_buffers, H2Conf>("http2_max_field_size", outer, words(1), obsolete).takes("size"),
    custom<use_header_buffers, H2Conf>("http2_max_header_size", outer, words(1), obsolete).takes("size"),
    custom<ignore_push, H2Conf>("http2_push", in_http_any, words(1), obsolete).many().takes("uri | off"),
    custom<ignore_push, H2Conf>("http2_push_preload", in_http_any, words(1), obsolete).takes("on | off"),
    custom<ignore_push, H2Conf>("http2_max_concurrent_pushes", outer, words(1), obsolete).takes("number"),
};

}  // namespace

constinit const Module http_v2_module = {
    .name = "http_v2",
    .conf = conf_of<H2Conf>,
    .directives = rows,
    .finish = finish_of<finish_h2, H2Conf>,
};

}  // namespace fairlead::http::h2
