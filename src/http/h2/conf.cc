// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/h2/conf.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/conf/block.h"
#include "core/conf/generation.h"
#include "core/conf/line.h"
#include "http/conf/core_conf.h"

namespace fairlead::http::h2 {

// The head that we can take if all its fields are as long as they may be.
static uint32_t announced_head_bytes(const CoreConf& core) {
  uint64_t first = std::min<uint64_t>(core.client_header_buffer_size.bytes, field_bytes_max);
  uint64_t large = std::min<uint64_t>(core.large_client_header_buffers.bytes, field_bytes_max);
  return static_cast<uint32_t>(std::min<uint64_t>(first + core.large_client_header_buffers.count * large, UINT32_MAX));
}

ServerRules rules_of(const H2Conf& own, const CoreConf& core, const HeadRules& head) {
  ServerRules rules;
  rules.head = head;
  SessionRules& session = rules.session;
  session.streams_max = static_cast<uint32_t>(own.max_concurrent_streams);
  session.stream_window_bytes = static_cast<uint32_t>(own.body_preread_size.bytes);
  session.chunk_bytes = static_cast<uint32_t>(own.chunk_size.bytes);
  session.head_list_bytes_max = announced_head_bytes(core);
  session.send_timeout_ms = core.send_timeout;
  session.connect_protocol = true;
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

// A positive number that the protocol's own fields can hold.
template <uint64_t H2Conf::*Member>
ConfResult<Unit> set_count(Line& line, H2Conf& own) {
  FL_TRY(ConfValue<uint64_t>::parse(line, own.*Member));
  if (own.*Member == 0 || own.*Member > INT32_MAX) return line.invalid_value(1);
  return Unit();
}

ConfResult<Unit> set_chunk_size(Line& line, H2Conf& own) {
  constexpr uint64_t frame_bytes_max = 16'777'215;  // RFC 9113 section 4.2
  FL_TRY(ConfValue<Size>::parse(line, own.chunk_size));
  if (own.chunk_size.bytes == 0) return std::string("the http2 chunk size cannot be zero");
  if (own.chunk_size.bytes > frame_bytes_max) return format("the maximum http2 chunk size is {}", frame_bytes_max);
  return Unit();
}

ConfResult<Unit> set_preread_size(Line& line, H2Conf& own) {
  FL_TRY(ConfValue<Size>::parse(line, own.body_preread_size));
  if (own.body_preread_size.bytes > INT32_MAX) return format("the maximum body preread buffer size is {}", INT32_MAX);
  return Unit();
}

ConfResult<Unit> set_recv_buffer_size(Line& line, H2Conf& own) {
  constexpr uint64_t too_small_bytes = 32;  // as in nginx
  FL_TRY(ConfValue<Size>::parse(line, own.recv_buffer_size));
  if (own.recv_buffer_size.bytes <= too_small_bytes) return format("\"{}\" directive value is too small", line.name());
  return Unit();
}

// A slot with a setter of its own.
template <auto Set>
constexpr Directive checked(Directive row) {
  row.set = &fairlead::detail::set_custom<Set, H2Conf>;
  return row;
}

constexpr uint32_t outer = in_http | in_server;
constexpr std::string_view obsolete = "Obsolete as in nginx: accepted with a warning that names what to use.";

constexpr Directive rows[] = {
    slot<H2Conf, &H2Conf::on>("http2", outer, "Speak HTTP/2 with clients that begin with it."),
    checked<set_count<&H2Conf::max_concurrent_streams>>(slot<H2Conf, &H2Conf::max_concurrent_streams>(
        "http2_max_concurrent_streams", outer, "Most requests at once on one connection.")),
    checked<set_chunk_size>(slot<H2Conf, &H2Conf::chunk_size>("http2_chunk_size", in_http_any,
                                                              "Largest piece of a response's body in one frame.")),
    checked<set_preread_size>(slot<H2Conf, &H2Conf::body_preread_size>(
        "http2_body_preread_size", outer, "How much of a request's body a client may send before it is read.")),
    checked<set_recv_buffer_size>(slot<H2Conf, &H2Conf::recv_buffer_size>(
        "http2_recv_buffer_size", in_http, "How much is read from one connection before others have their turn.")),
    checked<set_count<&H2Conf::max_resets>>(slot<H2Conf, &H2Conf::max_resets>(
        "http2_max_resets", outer,
        "Requests that a client may give up; a tenth comes back each second, one with each that it takes.")),
    checked<set_count<&H2Conf::max_control_frames>>(slot<H2Conf, &H2Conf::max_control_frames>(
        "http2_max_control_frames", outer,
        "Frames without a message that a client may send; a tenth comes back each second, two with each message frame sent.")),
    custom<use_keepalive_timeout, H2Conf>("http2_idle_timeout", outer, words(1), obsolete).takes("time"),
    custom<use_keepalive_requests, H2Conf>("http2_max_requests", outer, words(1), obsolete).takes("number"),
    custom<use_header_timeout, H2Conf>("http2_recv_timeout", outer, words(1), obsolete).takes("time"),
    custom<use_header_buffers, H2Conf>("http2_max_field_size", outer, words(1), obsolete).takes("size"),
    custom<use_header_buffers, H2Conf>("http2_max_header_size", outer, words(1), obsolete).takes("size"),
    custom<ignore_push, H2Conf>("http2_push", in_http_any, words(1), obsolete).many().takes("uri | off"),
    custom<ignore_push, H2Conf>("http2_push_preload", in_http_any, words(1), obsolete).takes("on | off"),
    custom<ignore_push, H2Conf>("http2_max_concurrent_pushes", outer, words(1), obsolete).takes("number"),
};

// Once: http blocks say it for many servers.
ConfResult<Unit> warn_large_fields(Generation& generation) {
  Block* server_block = nullptr;
  each_block(generation.root(), [&](Block& block) {
    if (server_block || block.context() != in_server || !conf<H2Conf>(block).on) return;
    if (conf<CoreConf>(block).large_client_header_buffers.bytes > field_bytes_max) server_block = &block;
  });
  if (!server_block) return Unit();
  generation.warn(format("\"large_client_header_buffers\" above 64k serve HTTP/1 alone: a longer field ends an HTTP/2 connection{}",
                         at_place(server_block->place())));
  return Unit();
}

}  // namespace

constinit const Module http_v2_module = {
    .name = "http_v2",
    .conf = conf_of<H2Conf>,
    .directives = rows,
    .generation = &warn_large_fields,
};

}  // namespace fairlead::http::h2
