// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_mirror: sends copies of requests elsewhere, through locations of the configuration. Unlike in nginx a copy holds nothing of its
// request back: neither its answer nor its connection waits for it.
#include <array>
#include <vector>

#include "core/base/format.h"
#include "core/base/percent.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/conf/module.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "event/net/upstreams.h"
#include "event/worker.h"
#include "http/hooks.h"
#include "http/request/detached.h"
#include "http/request/read_body.h"

namespace fairlead {
namespace {

using namespace http;

struct Mirror {
  SubrequestTarget target;
  uint32_t sample = whole_percent;  // hundredths of a percent
  uint64_t timeout_ms = 60'000;
  uint64_t in_flight_max = 1024;  // copies under way in a worker, of all mirrors
  Template host;
};

struct MirrorConf {
  bool is_off = false;
  std::vector<Mirror> mirrors;
  bool sends_body = true;
};

ConfResult<Unit> take_parameter(Line& line, size_t index, Mirror& mirror) {
  std::string_view word = line.word(index);
  std::string_view value = word.substr(std::min(word.find('='), word.size() - 1) + 1);
  if (word.starts_with("sample=")) {
    auto sample = parse_percent(value);
    if (!sample || *sample > whole_percent) return line.invalid_parameter(index);
    mirror.sample = *sample;
  } else if (word.starts_with("timeout=")) {
    auto timeout = parse_time_ms(value);
    if (!timeout || *timeout == 0) return line.invalid_parameter(index);
    mirror.timeout_ms = *timeout;
  } else if (word.starts_with("max_inflight=")) {
    auto most = parse_decimal(value);
    if (!most || *most == 0) return line.invalid_parameter(index);
    mirror.in_flight_max = *most;
  } else if (word.starts_with("host=")) {
    auto host = compile_text(line, value);
    if (!host) return host.error();
    mirror.host = std::move(*host);
  } else {
    return line.invalid_parameter(index);
  }
  return Unit();
}

ConfResult<Unit> add_mirror(Line& line, MirrorConf& own) {
  if (line.word(1) == "off") {
    if (!own.mirrors.empty() || own.is_off || line.word_count() > 1) return line.directive_reason("is duplicate");
    own.is_off = true;
    return Unit();
  }
  if (own.is_off) return line.directive_reason("is duplicate");
  auto target = parse_subrequest_target(line.word(1), line.arena());
  if (!target) return format("invalid URI \"{}\"", line.word(1));
  Mirror mirror;
  mirror.target = *target;
  for (size_t i = 2; i < line.words().size(); ++i) FL_TRY(take_parameter(line, i, mirror));
  own.mirrors.push_back(std::move(mirror));
  return Unit();
}

bool is_mirrored(const Block& block) { return !conf<MirrorConf>(block).mirrors.empty(); }

struct Mirrored {
  bool done = false;
};

// The kept body again, sharing its bytes; what lies in a file is read when it is sent.
Task<std::vector<Chunk>> copy_body(Request& request) {
  std::vector<Chunk> chunks;
  if (!request.spooled_body) co_return std::move(chunks);
  Body& body = request.body();
  for (;;) {
    Chunk chunk;
    Poll polled = co_await next(body, chunk);
    if (polled != Poll::ready) break;
    if (!chunk.is_file() && !chunk.bytes.owner) chunk.bytes = Slice::copy_of(chunk.bytes.view());
    chunks.push_back(std::move(chunk));
  }
  rewind_body(request);
  co_return std::move(chunks);
}

void send_copy(Request& request, const Mirror& mirror, std::vector<Chunk> body) {
  DetachedPlan plan;
  plan.what.uri = mirror.target.uri;
  plan.what.args = mirror.target.args.empty() ? request.args : mirror.target.args;
  plan.what.method = request.method;
  plan.what.method_text = request.method_text;
  plan.body = std::move(body);
  plan.timeout_ms = mirror.timeout_ms;
  if (mirror.host.is_set()) plan.host = mirror.host.evaluate(request);
  bool started = run_detached(request, std::move(plan), mirror.in_flight_max);
  if (!started) request.logger.info("a request was not mirrored to \"{}\"", mirror.target.uri);
}

// Once a request, where it ends up.
Task<Verdict> mirror(Request& request) {
  Mirrored& mirrored = request.slot<Mirrored>();
  if (request.is_subrequest || mirrored.done) co_return Verdict::next();
  mirrored.done = true;
  const MirrorConf& own = conf<MirrorConf>(request);
  std::vector<const Mirror*> chosen;
  Random& random = request.worker().state<Upstreams>().random();
  for (const Mirror& one : own.mirrors)
    if (one.sample == whole_percent || random.below(whole_percent) < one.sample) chosen.push_back(&one);
  if (chosen.empty()) co_return Verdict::next();
  bool has_body = own.sends_body && request.head.has_body();
  if (has_body) {
    auto read = co_await read_body(request);
    if (!read) co_return Verdict::status(status_of_body_failure(read.error()));
  }
  for (const Mirror* one : chosen) {
    std::vector<Chunk> body;
    if (has_body) body = co_await copy_body(request);
    send_copy(request, *one, std::move(body));
  }
  co_return Verdict::next();
}

constexpr std::array rows = {
    custom<add_mirror, MirrorConf, &MirrorConf::mirrors, &MirrorConf::is_off>(
        "mirror", in_http_any, words_from(1), "Where copies of requests go; their responses are dropped.")
        .many()
        .takes("uri [sample=percent] [timeout=time] [max_inflight=number] [host=text] | off").usual("off"),
    slot<MirrorConf, &MirrorConf::sends_body>("mirror_request_body", in_http_any,
                                              "Copies have the request's body, which is read before the request goes on."),
};

constexpr std::array phases = {PhaseEntry{.phase = Phase::precontent, .run = &mirror, .applies = &is_mirrored}};
constexpr Hooks hooks = {.phases = phases, .filters = {}, .forward = {}};

}  // namespace

extern constinit const Module http_mirror_module = {
    .name = "http_mirror", .conf = conf_of<MirrorConf>, .directives = rows, .http = &hooks};

}  // namespace fairlead
