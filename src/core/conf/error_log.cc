// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/error_log.h"

#include "core/base/format.h"
#include "core/base/log_sinks.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/open_syslog.h"

namespace fairlead {
namespace {

ConfResult<LogSink*> open_target(Line& line, std::string_view target) {
  if (target.starts_with("syslog:")) {
    auto opened = open_syslog(line, target.substr(7));
    if (!opened) return opened.error();
    return *opened;
  }
  if (target.starts_with("memory:")) {
    auto bytes = parse_size(target.substr(7), SizeUnits::up_to_mega);
    if (!bytes || *bytes < log_line_max) return format("invalid buffer size \"{}\"", target.substr(7));
    return &line.generation().keep_sink(std::make_unique<MemorySink>(*bytes));
  }
  if (target.empty()) return &standard_error();  // as in nginx
  return &line.generation().log_file(target);
}

ConfResult<Unit> set_error_log(Line& line, ErrorLogConf& own) {
  LogLevel level = LogLevel::error;
  if (line.word_count() == 2) {
    auto named = parse_log_level(line.word(2));
    if (!named) return format("invalid log level \"{}\"", line.word(2));
    level = *named;
  }
  auto sink = open_target(line, line.word(1));
  if (!sink) return sink.error();
  if (!own.log) own.log = line.arena().make<Log>();
  own.log->add(**sink, level);
  return Unit();
}

}  // namespace

constexpr Directive error_log_rows[] = {
    custom<set_error_log, ErrorLogConf, &ErrorLogConf::log>(
        "error_log", in_main | in_http_any | in_stream_any, words(1, 2),
        "Where messages go (a file, stderr, syslog:, memory:) and the least severe level that is kept. May be given several times.")
        .many()
        .takes("file [debug | info | notice | warn | error | crit | alert | emerg]").usual("logs/error.log error"),
};

constinit const Module error_log_module = {
    .name = "error_log",
    .conf = conf_of<ErrorLogConf>,
    .directives = error_log_rows,
};

}  // namespace fairlead
