// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/found_file.h"

#include <fcntl.h>

#include <cerrno>
#include <unordered_map>

#include "event/file/thread_pools.h"
#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/conf/files_conf.h"
#include "http/message/file_body.h"

namespace fairlead::http {

namespace {

// State of a worker: one cache per line.
struct OpenFileCaches {
  explicit OpenFileCaches(Worker&) {}
  OpenFileCache& of(const OpenFileCache::Limits& limits) {
    auto& cache = by_line[&limits];
    if (!cache) cache = std::make_unique<OpenFileCache>(limits);
    return *cache;
  }
  std::unordered_map<const OpenFileCache::Limits*, std::unique_ptr<OpenFileCache>> by_line;
};

OpenRules rules_of(Request& request, const FilesConf& files, std::string_view path, FileWish wish) {
  OpenRules rules;
  rules.symlinks = files.symlinks;
  rules.wants_bytes = wish == FileWish::open;
  if (rules.wants_bytes) rules.direct_bytes = files.directio_bytes;
  if (files.symlinks == Symlinks::allowed || !files.symlinks_from.is_set()) return rules;
  std::string_view from = files.symlinks_from.evaluate(request);
  bool is_part = !from.empty() && path.starts_with(from) && (path.size() == from.size() || path[from.size()] == '/' || from.back() == '/');
  if (is_part) rules.trusted_bytes = from.size();
  return rules;
}

BlockingPool* aio_pool(Request& request, const FilesConf& files) {
  if (files.aio == Aio::off) return nullptr;
  std::string_view name = files.aio_pool.evaluate(request);
  BlockingPool* pool = request.worker().state<ThreadPools>().find(name);
  if (!pool) request.logger.error("thread pool \"{}\" not found", name);
  return pool;
}

}  // namespace

OpenedFile find_file(Request& request, std::string_view path, FileWish wish) {
  const FilesConf& files = conf<FilesConf>(request);
  OpenRules rules = rules_of(request, files, path, wish);
  if (!files.open_file_cache) return open_file(path.data(), rules);
  OpenFileCache::Use use{files.open_file_cache_valid, files.open_file_cache_min_uses, files.open_file_cache_errors, rules};
  return request.worker().state<OpenFileCaches>().of(*files.open_file_cache).find(path, use, request.loop().now_ms());
}

Body* file_body(Request& request, const OpenedFile& found, std::string_view path) {
  const FilesConf& files = conf<FilesConf>(request);
  uint64_t size = found.facts.size;
  if (found.direct_err) request.logger.warn(Errno{found.direct_err}, "direct reading of \"{}\" failed, it is read as any file", path);
#if defined(POSIX_FADV_SEQUENTIAL)
  if (files.read_ahead != 0 && size > files.read_ahead) ::posix_fadvise(found.file.fd(), 0, 0, POSIX_FADV_SEQUENTIAL);
#endif
  BlockingPool* pool = aio_pool(request, files);
  if (conf<CoreConf>(request).sendfile && !found.is_direct) {
    if (pool) return request.arena().make<WarmFileBody>(*pool, found.file, 0, size);
    return request.arena().make<FileBody>(found.file, 0, size);
  }
  ReadRules rules;
  rules.piece_bytes = static_cast<size_t>(files.output_buffers.bytes);
  rules.pool = pool;
  if (found.is_direct) rules.alignment = static_cast<size_t>(files.directio_alignment.bytes);
  request.response.gather_bytes = static_cast<size_t>(files.output_buffers.count * files.output_buffers.bytes);
  return request.arena().make<ReadFileBody>(found.file, 0, size, rules);
}

BlockingPool& writing_pool(Request& request) {
  const FilesConf& files = conf<FilesConf>(request);
  BlockingPool* pool = files.aio_write ? aio_pool(request, files) : nullptr;
  return pool ? *pool : request.worker().files();
}

}  // namespace fairlead::http
