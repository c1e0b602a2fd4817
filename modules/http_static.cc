// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Files under `root` and `alias`: the last of the content entries. Ranges and conditions are the filters' matter, paths are made in
// http/request/file_path.h. The open file belongs to the body, which lies in the request's arena.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "core/base/format.h"
#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/message/file_body.h"
#include "http/request/content_type.h"
#include "http/request/file_path.h"
#include "http/request/response.h"

namespace fairlead {
namespace {

using namespace http;

Verdict refuse_path(Request& request, std::string_view path, int err) {
  unsigned status = 500;
  if (err == ENOENT || err == ENOTDIR || err == ENAMETOOLONG) status = 404;
  else if (err == EACCES || err == ELOOP || err == EMLINK) status = 403;
  if (status == 500) request.logger.crit(Errno{err}, "open() \"{}\" failed", path);
  else if (status != 404 || conf<CoreConf>(request).log_not_found) request.logger.error(Errno{err}, "open() \"{}\" failed", path);
  return Verdict::status(status);
}

// What the head says of the file, and its bytes.
void fill_response(Request& request, FileRef file, const struct stat& facts) {
  const CoreConf& core = conf<CoreConf>(request);
  Response& response = request.response;
  auto size = static_cast<uint64_t>(facts.st_size);
  response.head.status = 200;
  response.head.framing.content_length = facts.st_size;
  response.content_type = content_type_of(request);
  response.last_modified = facts.st_mtime;
  if (core.etag) response.etag = request.arena().copy(format("\"{:x}-{:x}\"", facts.st_mtime, size));
  response.allow_ranges = true;
  if (core.sendfile) response.body = request.arena().make<FileBody>(std::move(file), 0, size);
  else response.body = request.arena().make<ReadFileBody>(std::move(file), 0, size);
}

// next(): not for us; done(): the response is filled.
Verdict open_file(Request& request) {
  bool post = request.method == Method::post;
  if (request.method != Method::get && request.method != Method::head && !post) return Verdict::status(405);
  if (request.uri.empty() || request.uri.back() == '/') return Verdict::next();
  std::string_view path = map_path(request, request.uri);
  if (path.empty()) return Verdict::status(500);
  // O_NONBLOCK: a FIFO among the files must not hold the worker.
  FileRef file;
  int fd = ::open(path.data(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return refuse_path(request, path, errno);
  file = FileRef::adopt(fd);
  struct stat facts;
  if (::fstat(fd, &facts) < 0) return refuse_path(request, path, errno);
  if (S_ISDIR(facts.st_mode)) return redirect_with_slash(request);
  if (!S_ISREG(facts.st_mode)) {
    request.logger.crit("\"{}\" is not a regular file", path);
    return Verdict::status(404);
  }
  if (post) return Verdict::status(405);
  fill_response(request, std::move(file), facts);
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
