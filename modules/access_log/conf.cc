// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/access_log/conf.h"

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/open_syslog.h"

namespace fairlead::access_log {
namespace {

constexpr uint64_t gzip_buffer_bytes = 64 * 1024;
constexpr uint64_t default_inactive_s = 10, default_valid_s = 60;

// The block of the engine that the line belongs to, which holds the formats.
Block& engine_of(const Line& line) { return *line.block().enclosing(in_http | in_stream); }
AccessLogConf& main_of(const Line& line) { return own_conf<AccessLogConf>(*line.block().enclosing(in_main)); }
bool is_stream(const Line& line) { return engine_of(line).context() == in_stream; }

LogFormat* find_format(const AccessLogConf& engine, std::string_view name) {
  for (LogFormat* format : engine.formats)
    if (format->name() == name) return format;
  return nullptr;
}

// `combined` is made when it is first named, in http only.
ConfResult<const LogFormat*> format_of(const Line& line, std::string_view name) {
  AccessLogConf& engine = own_conf<AccessLogConf>(engine_of(line));
  if (LogFormat* known = find_format(engine, name)) return known;
  if (name != combined_name || is_stream(line)) return format("unknown log format \"{}\"", name);
  auto made = LogFormat::make_combined(variables_of(line), line.arena());
  if (!made) return made.error();
  engine.formats.push_back(*made);
  return *made;
}

// The words of an `access_log` line behind the format.
struct Options {
  LogFileRules rules;
  std::string_view condition;
};

ConfResult<Unit> read_option(std::string_view word, Options& options) {
  if (word.starts_with("buffer=")) {
    auto bytes = parse_size(word.substr(7), SizeUnits::up_to_mega);
    if (!bytes || *bytes == 0) return format("invalid buffer size \"{}\"", word.substr(7));
    options.rules.buffer_bytes = *bytes;
  } else if (word.starts_with("flush=")) {
    auto ms = parse_time_ms(word.substr(6));
    if (!ms || *ms == 0) return format("invalid flush time \"{}\"", word.substr(6));
    options.rules.flush_ms = *ms;
  } else if (word == "gzip" || word.starts_with("gzip=")) {
    auto level = word == "gzip" ? std::optional<uint64_t>(1) : parse_decimal(word.substr(5));
    if (!level || *level < 1 || *level > 9) return format("invalid compression level \"{}\"", word.substr(5));
    options.rules.gzip_level = static_cast<int>(*level);
    if (!options.rules.buffer_bytes) options.rules.buffer_bytes = gzip_buffer_bytes;
  } else if (word.starts_with("if=")) {
    options.condition = word.substr(3);
  } else {
    return format("invalid parameter \"{}\"", word);
  }
  return Unit();
}

// Where the lines go. One buffer per file: settings that differ contradict each other.
ConfResult<Unit> set_target(Line& line, AccessLog& log, const LogFileRules& rules) {
  std::string_view target = line.word(1);
  if (rules.flush_ms && !rules.buffer_bytes) return format("no buffer is defined for access_log \"{}\"", target);
  if (target.starts_with("syslog:")) {
    if (rules.buffer_bytes) return std::string("logs to syslog cannot be buffered");
    auto opened = open_syslog(line, target.substr(7));
    if (!opened) return opened.error();
    log.syslog = *opened;
    return Unit();
  }
  if (target.find('$') != std::string_view::npos) {
    if (rules.buffer_bytes) return std::string("buffered logs cannot have variables in name");
    auto path = compile_text(line, target);
    if (!path) return path.error();
    log.path = std::move(*path);
    return Unit();
  }
  auto file = shared_target(line.generation(), main_of(line), target, rules);
  if (!file) return file.error();
  log.file = *file;
  return Unit();
}

}  // namespace

ConfResult<FileTarget*> shared_target(Generation& generation, AccessLogConf& main, std::string_view path, const LogFileRules& rules) {
  FileSink& opened = generation.file_sink(path);
  for (FileTarget* known : main.files) {
    if (known->opened != &opened) continue;
    LogFileRules& other = known->rules;
    if (rules.buffer_bytes && !other.buffer_bytes) {  // from then on it has a buffer, for the lines that asked for none, too
      other = rules;
      return known;
    }
    bool equal = other.buffer_bytes == rules.buffer_bytes && other.flush_ms == rules.flush_ms && other.gzip_level == rules.gzip_level;
    if (!equal && rules.buffer_bytes) return format("access_log \"{}\" already defined with conflicting parameters", path);
    return known;
  }
  FileTarget* made = generation.arena().make<FileTarget>();
  made->opened = &opened;
  made->rules = rules;
  made->number = static_cast<uint32_t>(main.files.size());
  main.files.push_back(made);
  return made;
}

ConfResult<Unit> set_access_log(Line& line, AccessLogConf& own) {
  if (line.word(1) == "off") {
    if (line.word_count() > 1) return line.invalid_parameter(2);
    own.is_off = true;
    return Unit();
  }
  AccessLog log;
  Options options;
  size_t at = 2;
  std::string_view name = combined_name;
  if (line.word_count() >= 2) name = line.word(at++);
  else if (is_stream(line)) return std::string("log format is not specified");
  auto named = format_of(line, name);
  if (!named) return named.error();
  log.format = *named;
  for (; at <= line.word_count(); ++at) FL_TRY(read_option(line.word(at), options));
  if (!options.condition.empty()) {
    auto condition = compile_text(line, options.condition);
    if (!condition) return condition.error();
    log.condition = std::move(*condition);
  }
  FL_TRY(set_target(line, log, options.rules));
  own.logs.push_back(std::move(log));
  return Unit();
}

ConfResult<Unit> set_log_format(Line& line, AccessLogConf& own) {
  std::string_view name = line.word(1);
  if (find_format(own, name) || (name == combined_name && !is_stream(line))) return format("duplicate \"log_format\" name \"{}\"", name);
  Escaping escaping = Escaping::text;
  size_t at = 2;
  if (line.word(2).starts_with("escape=")) {
    std::string_view word = line.word(2).substr(7);
    if (word == "json") escaping = Escaping::json;
    else if (word == "none") escaping = Escaping::none;
    else if (word != "default") return format("unknown log format escaping \"{}\"", word);
    ++at;
  }
  auto made = LogFormat::compile(line, name, escaping, line.words().subspan(at));
  if (!made) return made.error();
  own.formats.push_back(*made);
  return Unit();
}

ConfResult<Unit> set_log_cache(Line& line, AccessLogConf& own) {
  if (line.word(1) == "off" && line.word_count() == 1) {
    own.cache = {};
    return Unit();
  }
  LogFileCacheRules rules;
  rules.inactive_ms = default_inactive_s * 1000;
  rules.valid_ms = default_valid_s * 1000;
  for (size_t i = 1; i <= line.word_count(); ++i) {
    std::string_view word = line.word(i);
    size_t equals = word.find('=');
    if (equals == std::string_view::npos) return format("invalid \"open_log_file_cache\" parameter \"{}\"", word);
    std::string_view name = word.substr(0, equals), text = word.substr(equals + 1);
    bool is_time = name == "inactive" || name == "valid";
    auto number = is_time ? parse_time_ms(text, TimeGrain::seconds) : parse_decimal(text);
    if (!number) return format("invalid \"open_log_file_cache\" parameter \"{}\"", word);
    if (name == "max") rules.files_max = *number;
    else if (name == "min_uses") rules.uses_min = static_cast<uint32_t>(*number);
    else if (name == "inactive") rules.inactive_ms = *number;
    else if (name == "valid") rules.valid_ms = *number;
    else return format("invalid \"open_log_file_cache\" parameter \"{}\"", word);
  }
  if (!rules.files_max) return std::string("\"open_log_file_cache\" must have \"max\" parameter");
  own.cache = {rules, ++main_of(line).cache_count};
  return Unit();
}

std::span<const AccessLog> logs_of(const Session& session) {
  const AccessLogConf& here = conf<AccessLogConf>(session);
  if (here.is_off) return {};
  if (!here.logs.empty()) return here.logs;
  return conf<AccessLogConf>(session.generation().root()).fallback;
}

}  // namespace fairlead::access_log
