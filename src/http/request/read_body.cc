// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/read_body.h"

#include <algorithm>

#include "event/loop/child.h"
#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/request/client_facts.h"
#include "http/request/client_failure.h"
#include "http/request/found_file.h"
#include "http/request/replay.h"
#include "http/request/spool.h"

namespace fairlead::http {

namespace {
// What a spooled body needs besides itself, in the request's arena.
struct BodyFile {
  BodyFile(BlockingPool& pool, const TempPath& from, SpoolKeep keep)
      : path{std::string(from.path), {from.levels[0], from.levels[1], from.levels[2]}}, file(pool, path, keep) {}
  SpoolPath path;
  SpoolFile file;
};
}  // namespace

static SpoolKeep keep_of(BodyInFile wish) {
  if (wish == BodyInFile::on) return SpoolKeep::always;
  return wish == BodyInFile::clean ? SpoolKeep::until_closed : SpoolKeep::none;
}

void log_body_failure(Request& request, const Error& error) {
  While doing(request, "reading client request body");
  if (error.side != Side::client) {
    request.logger.write(error.sys ? LogLevel::crit : LogLevel::error, Errno{error.sys}, "{}", error.what);
    return;
  }
  uint64_t most = request.body_bytes_max;
  bool has_limit = most > 0 && most < UINT64_MAX;
  bool is_too_large = error.fault == Fault::too_large;
  bool is_misframed = error.fault == Fault::malformed && request.head.version_major < 2;
  if (is_too_large && has_limit) request.logger.error("client intended to send too large chunked body: more than {} bytes", most);
  else request.logger.write(is_too_large || is_misframed ? LogLevel::error : LogLevel::info, Errno{error.sys}, "{}",
                            error.what);
}

uint16_t status_of_body_failure(const Error& error) {
  if (error.side == Side::client) return status_of_client_failure(error);
  return error.side == Side::upstream ? 502 : 500;
}

void lose_body(Request& request, const Error& why) {
  if (!request.passed_body) request.passed_body = request.arena().make<ReplayBody>(request.body(), 0u);
  request.passed_body->lose(why);
}

bool names_body(const Request& request) { return request.head.framing.chunked || request.head.framing.content_length != no_length; }

bool has_file_if_empty(const Request& request) {
  return names_body(request) && !request.is_subrequest && conf<CoreConf>(request).client_body_in_file_only != BodyInFile::off;
}

Task<Result<Unit>> read_body(Request& request) {
  if (request.spooled_body) co_return Unit();
  const CoreConf& core = conf<CoreConf>(request);
  BodyFile* file =
      request.arena().make<BodyFile>(writing_pool(request), core.client_body_temp_path, keep_of(core.client_body_in_file_only));
  SpoolLimits limits;
  limits.memory_bytes = core.client_body_in_file_only == BodyInFile::off ? core.client_body_buffer_size.bytes : 0;
  limits.file_bytes = UINT64_MAX;
  rewind_body(request);
  Body& source = request.body();
  // What came with the head is in memory already, and a variable, however small client_body_buffer_size is.
  if (limits.memory_bytes > 0 && source.is_at_hand())
    limits.memory_bytes = std::max<size_t>(limits.memory_bytes, source.size().value_or(0) + 1);
  Spool* spool = request.arena().make<Spool>(request.loop(), source, limits, &file->file);
  auto filled = co_await spool->fill_all();
  bool has_empty_file = filled && spool->size() == 0u && has_file_if_empty(request);
  if (has_empty_file) filled = co_await file->file.open();
  if (!filled) {
    log_body_failure(request, filled.error());
    lose_body(request, filled.error());
    if (filled.error().side == Side::client) request.fail_reason = reason_of_client_failure(filled.error());
    co_return filled.error();
  }
  bool is_wished = core.client_body_in_file_only != BodyInFile::off;
  if (spool->file_bytes() > 0 || has_empty_file)
    request.logger.write(is_wished ? LogLevel::notice : LogLevel::warn, "a client request body is buffered to a temporary file {}",
                         file->file.name());
  if (core.client_body_in_single_buffer && spool->is_in_memory()) spool->join();
  request.spooled_body = spool;
  co_return Unit();
}

void give_body(Request& request, Body& body) {
  SpoolLimits limits;
  limits.memory_bytes = SIZE_MAX;
  request.spooled_body = request.arena().make<Spool>(request.loop(), body, limits, nullptr);
  Child<Result<Unit>> filling;
  filling.start(request.spooled_body->fill_all());
  FL_ASSERT(filling.is_done());
}

void drop_body(Request& request) {
  request.head.framing.chunked = false;
  request.head.framing.content_length = 0;
  request.spooled_body = nullptr;
  request.passed_body = nullptr;
  request.body_is_dropped = true;
}

ReplayBody& pass_body(Request& request, uint64_t bytes_max) {
  if (!request.passed_body) request.passed_body = request.arena().make<ReplayBody>(request.body(), bytes_max);
  request.passed_body->keep(bytes_max);
  request.passed_body->rewind();
  return *request.passed_body;
}

bool is_body_lost(const Request& request) {
  return !request.spooled_body && request.passed_body && !request.passed_body->can_rewind();
}

void rewind_body(Request& request) {
  if (request.spooled_body) request.spooled_body->rewind();
  else if (request.passed_body) request.passed_body->rewind();
}

Body& Request::body() {
  if (spooled_body) return *spooled_body;
  if (body_is_dropped) return *arena().make<EmptyBody>();
  if (passed_body) return *passed_body;
  return exchange.request_body();
}

}  // namespace fairlead::http
