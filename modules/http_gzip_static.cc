// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// gzip_static: FILE.gz in place of FILE for clients that take gzip. A content entry ahead of the files themselves; who takes gzip is said
// in http/request/gzip_rules.h. Owns nothing.
#include <cerrno>

#include "core/conf/module.h"
#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/request/file_path.h"
#include "http/request/file_response.h"
#include "http/request/gzip_rules.h"
#include "http/request/response.h"

namespace fairlead {

namespace http_gzip_static {
enum class Serve : uint8_t { off, on, always };
}
template <>
struct EnumWords<http_gzip_static::Serve> {
  using S = http_gzip_static::Serve;
  static constexpr EnumWord<S> all[] = {{"off", S::off}, {"on", S::on}, {"always", S::always}};
};

namespace {

using namespace http;
using http_gzip_static::Serve;

struct GzipStaticConf {
  Serve serve = Serve::off;
};

void log_failure(Request& request, std::string_view path, const OpenedFile& found) {
  if (found.err == ENOENT || found.err == ENOTDIR || found.err == ENAMETOOLONG) return;
  if (found.err == EACCES || found.err == ELOOP || found.err == EMLINK)
    request.logger.error(Errno{found.err}, "{} \"{}\" failed", found.call, path);
  else
    request.logger.crit(Errno{found.err}, "{} \"{}\" failed", found.call, path);
}

// next(): the file itself is to be served; done(): the response is filled.
Verdict open_compressed(Request& request) {
  Serve serve = conf<GzipStaticConf>(request).serve;
  if (request.method != Method::get && request.method != Method::head) return Verdict::next();
  if (request.uri.empty() || request.uri.back() == '/') return Verdict::next();
  bool wanted = serve == Serve::always || may_be_gzip(request);
  if (!wanted && !conf<GzipRulesConf>(request).vary) return Verdict::next();
  unsigned refusal = 0;
  std::string_view plain = map_path(request, request.uri, &refusal);
  if (plain.empty()) return Verdict::status(refusal);
  std::string_view path = request.arena().join({plain, ".gz", std::string_view("\0", 1)});
  path.remove_suffix(1);
  OpenedFile found = find_file(request, path, wanted ? FileWish::open : FileWish::look);
  if (found.err) {
    log_failure(request, path, found);
    return Verdict::next();
  }
  if (serve == Serve::on) vary_by_encoding(request);  // true of the file itself, too, if that is what goes out
  if (!wanted || found.facts.is_folder) return Verdict::next();
  if (!found.facts.is_file) {
    request.logger.crit("\"{}\" is not a regular file", path);
    return Verdict::status(404);
  }
  respond_with_file(request, found, path);
  request.response.allow_ranges = false;  // as in nginx: who asks for a range means one of the text
  request.response.head.headers.set(KnownHeader::content_encoding, "gzip");
  return Verdict::done();
}

Task<Verdict> serve_compressed(Request& request) {
  Verdict verdict = open_compressed(request);
  if (verdict.kind() != Verdict::Kind::done) co_return verdict;
  if (try_send(request, verdict)) co_return verdict;
  co_return co_await finish_send(request);
}

bool is_on(const Block& block) { return conf<GzipStaticConf>(block).serve != Serve::off; }

constexpr Directive rows[] = {
    slot<GzipStaticConf, &GzipStaticConf::serve>("gzip_static", in_http_any,
        "Serve FILE.gz in place of FILE: to clients that take gzip, to none, or to all.").takes("on | off | always"),
};
constexpr PhaseEntry phases[] = {{.phase = Phase::content, .run = serve_compressed, .applies = is_on}};
constexpr Hooks hooks = {.phases = phases};
constexpr std::string_view after[] = {"http_index", "http_random_index", "http_autoindex"};

}  // namespace

extern constinit const Module http_gzip_static_module = {
    .name = "http_gzip_static", .conf = conf_of<GzipStaticConf>, .directives = rows, .after = after, .http = &hooks};

}  // namespace fairlead
