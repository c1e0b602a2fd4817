// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/store.h"

#include "core/base/clock.h"
#include "core/conf/generation.h"
#include "event/worker.h"
#include "http/message/known_header.h"
#include "http/request/file_path.h"

namespace fairlead::http {

StoredBody::StoredBody(Request& request, Body& source, const TempPath& temp, FilePlace place)
    : request_(request),
      source_(source),
      path_{std::string(temp.path), {temp.levels[0], temp.levels[1], temp.levels[2]}},
      file_(request.worker().files(), path_, SpoolKeep::until_closed),
      place_(std::move(place)) {}

Poll StoredBody::poll(Chunk& chunk) {
  if (is_due() || (ended_ && stores_)) return Poll::pending;
  if (ended_) return Poll::end;
  Poll polled = source_.poll(chunk);
  if (polled == Poll::ready && stores_) {
    FL_ASSERT(!chunk.is_file());
    waiting_.push_back(chunk.bytes);
  }
  if (polled == Poll::failed) stores_ = false;
  if (polled != Poll::end) return polled;
  ended_ = true;
  return stores_ ? Poll::pending : Poll::end;
}

Task<Result<Unit>> StoredBody::ready() {
  if (is_due() || (ended_ && stores_)) {
    co_await write_out();
    if (ended_ && stores_) co_await put_in_place();
    co_return Unit();
  }
  co_return co_await source_.ready();
}

Task<Unit> StoredBody::write_out() {
  if (!waiting_.empty()) {
    auto written = co_await file_.append(waiting_);
    if (!written) give_up(written.error());
    waiting_.clear();
  }
  co_return Unit();
}

Task<Unit> StoredBody::put_in_place() {
  auto opened = co_await file_.open();  // of an empty body nothing was written
  if (!opened) {
    give_up(opened.error());
    co_return Unit();
  }
  auto moved = co_await file_.move_to(place_);
  if (!moved) give_up(moved.error());
  stores_ = false;
  co_return Unit();
}

void StoredBody::give_up(const Error& error) {
  stores_ = false;
  While doing(request_, "storing the upstream's reply");
  request_.logger.crit(Errno{error.sys}, "{} for \"{}\"", error.what, place_.path);
}

Task<Unit> StoredBody::drain() {
  Chunk chunk;
  for (;;) {
    Poll polled = poll(chunk);
    chunk.clear();
    if (polled == Poll::end || polled == Poll::failed) co_return Unit();
    if (polled == Poll::ready) continue;
    auto waited = co_await ready();
    if (!waited) co_return Unit();
  }
}

std::optional<FilePlace> store_place(Request& request, const ForwardConf& conf, const ResponseHead& reply) {
  if (conf.store.mode == StorePath::Mode::off || reply.status != 200 || request.head.method == Method::head) return std::nullopt;
  FilePlace place;
  bool by_uri = conf.store.mode == StorePath::Mode::by_uri;
  std::string_view path = by_uri ? map_path(request, request.uri) : conf.store.text.evaluate(request);
  if (path.empty()) return std::nullopt;
  place.path = std::string(path);
  if (place.path[0] != '/') place.path.insert(0, request.generation().request().prefix);
  place.mode = conf.store_access.mode;
  const Headers::Field* modified = reply.headers.find(KnownHeader::last_modified);
  if (auto seconds = modified ? parse_http_date(modified->value) : std::nullopt) place.modified_s = *seconds;
  return place;
}

}  // namespace fairlead::http
