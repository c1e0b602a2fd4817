// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/websocket.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/sha1.h"
#include "core/base/text.h"
#include "event/net/upstreams.h"
#include "http/conf/core_conf.h"
#include "http/request/request.h"

namespace fairlead {

ConfResult<Unit> ConfValue<http::WebSocketDrain>::parse(Line& line, http::WebSocketDrain& field) {
  field = {};
  if (line.word(1) == "off" && line.word_count() == 1) return Unit();
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    bool spread = word.starts_with("spread=");
    if (!spread && !word.starts_with("timeout=")) return line.invalid_parameter(i);
    auto ms = parse_time_ms(word.substr(spread ? 7 : 8), TimeGrain::milliseconds);
    if (!ms || *ms > UINT32_MAX || (!spread && *ms == 0)) return line.invalid_parameter(i);
    if (spread) field.on = true;
    (spread ? field.spread_ms : field.timeout_ms) = *ms;
  }
  if (!field.on) return line.directive_reason("needs \"spread=\"");
  return Unit();
}

namespace http {

size_t WebSocketFrames::head_size() const {
  if (head_bytes_ < 2) return 2;
  unsigned length = head_[1] & 0x7f;
  return 2u + (length == 126 ? 2u : length == 127 ? 8u : 0u) + (head_[1] & 0x80 ? 4u : 0u);
}

uint64_t WebSocketFrames::payload_size() const {
  unsigned length = head_[1] & 0x7f;
  if (length < 126) return length;
  uint64_t bytes = 0;
  for (unsigned i = 0; i < (length == 126 ? 2u : 8u); ++i) bytes = bytes << 8 | head_[2 + i];
  return bytes;
}

size_t WebSocketFrames::take(std::string_view bytes, bool to_boundary) {
  constexpr unsigned opcode_bits = 0x0f, opcode_close = 8;
  size_t at = 0;
  while (at < bytes.size()) {
    if (payload_left_ > 0) {
      size_t passing = static_cast<size_t>(std::min<uint64_t>(payload_left_, bytes.size() - at));
      payload_left_ -= passing;
      at += passing;
    } else {
      head_[head_bytes_++] = static_cast<unsigned char>(bytes[at++]);
      if (head_bytes_ < head_size()) continue;
      if ((head_[0] & opcode_bits) == opcode_close) closed_ = true;
      payload_left_ = payload_size();
      head_bytes_ = 0;
    }
    if (to_boundary && payload_left_ == 0) break;
  }
  return at;
}

uint64_t spread_within(const WebSocketDrain& rules, uint64_t left_ms) {
  if (left_ms == 0) return rules.spread_ms;
  uint64_t before_timeout = left_ms > rules.timeout_ms ? left_ms - rules.timeout_ms : 0;
  return std::min(rules.spread_ms, std::max(before_timeout, left_ms / 2));
}

std::string websocket_accept(std::string_view key) {
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  Sha1 digest = sha1(text);
  return base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

WebSocketEnd::WebSocketEnd(Request& request, const WebSocketDrain& rules)
    : worker_(request.worker()), rules_(rules), begin_(*this), alert_(begin_), moment_(*this), due_(request.loop()) {
  worker_.alert_drain(alert_);
}

void WebSocketEnd::on_drain() {
  uint64_t end = worker_.drain_deadline_ms(), now = worker_.loop().now_ms();
  auto spread = static_cast<uint32_t>(spread_within(rules_, end == 0 ? 0 : std::max<uint64_t>(end - std::min(end, now), 1)));
  uint64_t wait = spread ? worker_.state<Upstreams>().random().below(spread) : 0;
  worker_.loop().arm(moment_, wait);
}

void WebSocketEnd::on_moment() { due_.set(); }

static constexpr Directive rows[] = {
    slot<WebSocketConf, &WebSocketConf::drain>(
        "websocket_drain", in_http_any,
        "Whether a worker that drains ends WebSockets with code 1012, each at a random moment within the spread, which "
        "worker_shutdown_timeout shortens if need be; who does not answer is cut off after the time-out."),
};

constinit const Module websocket_module = {
    .name = "websocket",
    .conf = conf_of<WebSocketConf>,
    .directives = rows,
};

}  // namespace http
}  // namespace fairlead
