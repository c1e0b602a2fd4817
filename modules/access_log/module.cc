// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Access logs: a line per request where its processing ended. The http side of it; formats, files and the worker's part know no engine.
#include <sys/stat.h>

#include "core/conf/generation.h"
#include "event/hooks.h"
#include "http/conf/http_block.h"
#include "http/hooks.h"
#include "http/request/file_path.h"
#include "http/request/request.h"
#include "modules/access_log/worker_logs.h"

namespace fairlead {
namespace access_log {
namespace {

// A path made from what a client sent could fill the disk with folders' worth of files: as in nginx, only requests to an existing
// root make one.
bool has_root(Session& session) {
  http::Request& request = http::as_request(session);
  struct stat found;
  return stat(request.arena().copy_z(http::root_path(request)), &found) == 0;
}

http::Verdict write_lines(http::Request& request) {
  std::span<const AccessLog> logs = logs_of(request);
  if (!logs.empty()) request.worker().state<WorkerLogs>().write(request, logs, has_root);
  return http::Verdict::next();
}

bool is_on(const Block& block) { return !conf<AccessLogConf>(block).is_off; }

// Without any `access_log` at the level of http: the compiled path, below the prefix in force.
ConfResult<Unit> add_fallback(Generation& generation) {
  http::HttpBlock* http = http::http_block_of(generation);
  if (!http) return Unit();
  const AccessLogConf& outer = conf<AccessLogConf>(*http->block);
  if (outer.is_off || !outer.logs.empty()) return Unit();
  AccessLogConf& main = conf<AccessLogConf>(generation.root());
  std::string_view path = generation.request().access_log_path;
  auto format = LogFormat::make_combined(generation.variables(http_variable), generation.arena());
  if (!format) return format.error();
  auto file = shared_target(generation, main, path, {});
  if (!file) return file.error();
  AccessLog log;
  log.format = *format;
  log.file = *file;
  main.fallback.push_back(std::move(log));
  return Unit();
}

Task<Unit> start(Worker& worker) {
  worker.state<WorkerLogs>();
  co_return Unit();
}
void stop(Worker& worker) { worker.state<WorkerLogs>().flush(); }
void reopen(Worker& worker) { worker.state<WorkerLogs>().reopen(); }

constexpr uint32_t in_any = in_http_and_if | in_limit_except | in_stream_any;
constexpr Directive rows[] = {
    custom<set_access_log, AccessLogConf, &AccessLogConf::logs, &AccessLogConf::is_off>(
        "access_log", in_any, words_from(1),
        "Where a line per request (or connection) goes: a file, whose path may have variables, or syslog.")
        .many()
        .takes("path [format [buffer=size] [gzip[=level]] [flush=time] [if=condition]] | off").usual("logs/access.log combined"),
    custom<set_log_format, AccessLogConf>("log_format", in_http | in_stream, words_from(2),
                                          "Names what a line of an access log holds; its strings are joined.")
        .many()
        .takes("name [escape=default | json | none] string ..."),
    custom<set_log_cache, AccessLogConf, &AccessLogConf::cache>("open_log_file_cache", in_http_any | in_stream_any, words(1, 4),
                                                                "Keeps logs with variables in their path open between lines.")
        .takes("max=number [inactive=time] [min_uses=number] [valid=time] | off").usual("off"),
};

constexpr http::PhaseEntry phases[] = {{.phase = http::Phase::log, .check = write_lines, .applies = is_on}};
constexpr http::Hooks http_hooks = {.phases = phases};
constexpr std::string_view written_after[] = {"lua"};  // whose log hook may still set variables
constexpr event::Hooks event_hooks = {.start = start, .stop = stop, .reopen = reopen};

}  // namespace
}  // namespace access_log

extern constinit const Module access_log_module = {
    .name = "access_log",
    .conf = conf_of<access_log::AccessLogConf>,
    .directives = access_log::rows,
    .after = access_log::written_after,
    .generation = access_log::add_fallback,
    .event = &access_log::event_hooks,
    .http = &access_log::http_hooks,
};

}  // namespace fairlead
