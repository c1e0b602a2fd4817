// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Files under `root` and `alias`: the last of the content entries. Ranges and conditions are the filters' matter, paths are made in
// http/request/file_path.h. The open file belongs to the body, which lies in the request's arena.
#include <cerrno>

#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/request/file_path.h"
#include "http/request/file_response.h"
#include "http/request/found_file.h"
#include "http/request/response.h"

namespace fairlead {
namespace {

using namespace http;

Verdict refuse_path(Request& request, std::string_view path, const OpenedFile& found) {
  int err = found.err;
  unsigned status = 500;
  if (err == ENOENT || err == ENOTDIR || err == ENAMETOOLONG) status = 404;
  else if (err == EACCES || err == ELOOP || err == EMLINK) status = 403;
  if (status == 500) request.logger.crit(Errno{err}, "{} \"{}\" failed", found.call, path);
  else if (status != 404 || conf<CoreConf>(request).log_not_found) request.logger.error(Errno{err}, "{} \"{}\" failed", found.call, path);
  return Verdict::status(status);
}

// next(): not for us; done(): the response is filled.
Verdict open_file(Request& request) {
  bool post = request.method == Method::post;
  if (request.method != Method::get && request.method != Method::head && !post) return Verdict::status(405);
  if (request.uri.empty() || request.uri.back() == '/') return Verdict::next();
  unsigned refusal = 0;
  std::string_view path = map_path(request, request.uri, &refusal);
  if (path.empty()) return Verdict::status(refusal);
  OpenedFile found = find_file(request, path, FileWish::open);
  if (found.err) return refuse_path(request, path, found);
  if (found.facts.is_folder) return redirect_with_slash(request);
  if (!found.facts.is_file) {
    request.logger.crit("\"{}\" is not a regular file", path);
    return Verdict::status(404);
  }
  if (post) return Verdict::status(405);
  respond_with_file(request, found, path);
  return Verdict::done();
}

Task<Verdict> serve_file(Request& request) {
  Verdict verdict = open_file(request);
  if (verdict.kind() != Verdict::Kind::done) co_return verdict;
  if (try_send(request, verdict)) co_return verdict;
  co_return co_await finish_send(request);
}

constexpr PhaseEntry phases[] = {{.phase = Phase::content, .run = serve_file}};
constexpr Hooks hooks = {.phases = phases};
constexpr std::string_view after[] = {"http_index", "http_random_index", "http_autoindex", "http_gzip_static"};

}  // namespace

extern constinit const Module http_static_module = {.name = "http_static", .after = after, .http = &hooks};

}  // namespace fairlead
