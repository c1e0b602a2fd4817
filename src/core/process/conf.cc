// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/conf.h"

#include <glob.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/lexer.h"
#include "core/process/process.h"

namespace fairlead {
namespace {

template <bool ProcessSettings::*Flag>
ConfResult<Unit> set_flag(Line& line, ProcessConf& own) {
  return ConfValue<bool>::parse(line, own.settings.*Flag);
}

ConfResult<Unit> set_term_action(Line& line, ProcessConf& own) {
  if (line.word(1) != "stop" && line.word(1) != "drain") return line.invalid_value(1);
  own.settings.term_drains = line.word(1) == "drain";
  return Unit();
}

ConfResult<Unit> set_worker_processes(Line& line, ProcessConf& own) {
  if (line.word(1) == "auto") {
    own.settings.worker_processes = std::min(usable_cpus(), worker_processes_max);
    return Unit();
  }
  auto number = parse_decimal(line.word(1));
  if (!number || *number == 0) return line.directive_reason("invalid value");
  if (*number > worker_processes_max) return format("\"worker_processes\" must not be more than {}", worker_processes_max);
  own.settings.worker_processes = static_cast<unsigned>(*number);
  return Unit();
}

ConfResult<Unit> set_user(Line& line, ProcessConf& own) {
  own.user_given = true;
  if (geteuid() != 0) {
    line.warn("the \"user\" directive makes sense only if the master process runs with super-user privileges, ignored");
    return Unit();
  }
  std::string user(line.word(1)), group(line.word_count() == 2 ? line.word(2) : std::string_view());
  auto identity = find_identity(user, group);
  if (!identity) return identity.error();
  own.settings.user_name = user;
  own.settings.user = identity->user;
  own.settings.group = identity->group;
  own.settings.groups = identity->groups;
  return Unit();
}

ConfResult<Unit> set_env(Line& line, ProcessConf& own) {
  own.settings.environment.emplace_back(line.word(1));
  return Unit();
}

ConfResult<Unit> set_priority(Line& line, ProcessConf& own) {
  std::string_view word = line.word(1);
  auto number = word.starts_with('+') ? parse_signed(word.substr(1)) : parse_signed(word);
  if (!number || word.starts_with("+-")) return line.directive_reason("invalid number");
  own.settings.priority = static_cast<int>(std::clamp<int64_t>(*number, -20, 20));  // beyond it the kernel does the same
  return Unit();
}

ConfResult<Unit> set_affinity_line(Line& line, ProcessConf& own) {
  auto affinity = parse_cpu_affinity(line.words().subspan(1));
  if (!affinity) return affinity.error();
  own.settings.affinity = std::move(*affinity);
  return Unit();
}

ConfResult<Unit> set_limit(Line& line, ProcessConf& own) {
  if (line.name() == "worker_rlimit_nofile") {
    auto number = parse_decimal(line.word(1));
    if (!number) return line.directive_reason("invalid number");
    own.settings.open_files_max = *number;
    return Unit();
  }
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_giga);
  if (!bytes) return line.directive_reason("invalid value");
  own.settings.core_bytes_max = *bytes;
  return Unit();
}

ConfResult<Unit> set_working_directory(Line& line, ProcessConf& own) {
  own.settings.working_directory = std::string(line.generation().absolute_path(line.word(1)));
  return Unit();
}

ConfResult<Unit> check_time(Line& line, ProcessConf&) {
  Msec ignored;
  return ConfValue<Msec>::parse(line, ignored);
}
ConfResult<Unit> accept_path(Line&, ProcessConf&) { return Unit(); }

// "modules/ngx_http_stub_status_module.so": what is built in is there already; anything else is refused by name.
ConfResult<Unit> set_load_module(Line& line, ProcessConf&) {
  std::string_view name = line.word(1);
  if (size_t slash = name.rfind('/'); slash != std::string_view::npos) name.remove_prefix(slash + 1);
  if (name.ends_with(".so")) name.remove_suffix(3);
  if (name.starts_with("ngx_")) name.remove_prefix(4);
  if (name.ends_with("_module")) name.remove_suffix(7);
  std::string_view short_name = name.starts_with("http_") ? name.substr(5) : name;
  if (modules().find(name) || modules().find(short_name)) return Unit();
  return format("module \"{}\" is not built in, and modules cannot be loaded", line.word(1));
}

// Whether there is a master is settled at the start: a reload cannot bring one, nor let it go.
ConfResult<Unit> keep_master(Generation& generation) {
  if (!generation.previous()) return Unit();
  bool& has_master = conf<ProcessConf>(generation.root()).settings.master_process;
  bool had_master = conf<ProcessConf>(generation.previous()->root()).settings.master_process;
  if (has_master != had_master) generation.warn("\"master_process\" cannot change at a reload, ignored");
  has_master = had_master;
  return Unit();
}

static_assert(worker_processes_max == 510 && live_workers_max == 1023);  // as the sentence of worker_processes says
constexpr Directive process_rows[] = {
    custom<set_flag<&ProcessSettings::daemon>, ProcessConf>("daemon", in_main, words(1), "Go to the background.").takes("on | off")
        .usual("on"),
    custom<set_flag<&ProcessSettings::master_process>, ProcessConf>("master_process", in_main, words(1),
                                                                    "Let a master supervise workers; off: one process does all. "
                                                                    "Settled at the start.")
        .takes("on | off").usual("on"),
    custom<set_worker_processes, ProcessConf>("worker_processes", in_main, words(1),
                                               "How many workers, up to 510; auto: one per usable processor. Those that still drain count: "
                                               "a reload that would make more than 1023 in all is refused.")
        .takes("number | auto").usual("1"),
    slot<ProcessConf, &ProcessConf::pid>("pid", in_main, "File that the master's process id is written to."),
    custom<accept_path, ProcessConf>("lock_file", in_main, words(1), "Accepted; nothing needs a lock file here.").takes("file"),
    custom<set_user, ProcessConf>("user", in_main, words(1, 2), "Who the workers run as.").takes("user [group]"),
    custom<set_env, ProcessConf>("env", in_main, words(1), "An environment variable that is kept, or set.").many().takes("name[=value]"),
    custom<set_limit, ProcessConf>("worker_rlimit_nofile", in_main, words(1), "Most open files of a worker.").takes("number"),
    custom<set_limit, ProcessConf>("worker_rlimit_core", in_main, words(1), "Largest core file of a worker.").takes("size"),
    custom<set_priority, ProcessConf>("worker_priority", in_main, words(1), "Scheduling priority of workers, as in nice.").takes("number")
        .usual("0"),
    custom<set_affinity_line, ProcessConf>("worker_cpu_affinity", in_main, words_from(1), "Processors that workers are bound to.")
        .takes("auto [mask] | mask ..."),
    custom<set_working_directory, ProcessConf>("working_directory", in_main, words(1), "Folder of the workers, for core files.")
        .takes("folder"),
    slot<ProcessConf, &ProcessConf::start_timeout>("worker_start_timeout", in_main,
                                                   "How long a reload waits for a first new worker that serves; then it has failed, and "
                                                   "the configuration before it stays in use."),
    slot<ProcessConf, &ProcessConf::shutdown_timeout>("worker_shutdown_timeout", in_main,
                                                      "How long a draining worker waits for its connections, 0: until they end."),
    slot<ProcessConf, &ProcessConf::shutdown_delay>("shutdown_delay", in_main,
                                                    "How long, before a graceful end, the server goes on accepting while "
                                                    "health_endpoint answers 503."),
    custom<set_term_action, ProcessConf>("term_action", in_main, words(1), "What TERM does: end at once, or as QUIT does.")
        .takes("stop | drain").usual("stop"),
    custom<set_flag<&ProcessSettings::quit_on_parent_exit>, ProcessConf>(
        "quit_on_parent_exit", in_main, words(1), "End gracefully when the process that started the master has ended (daemon off).")
        .takes("on | off").usual("off"),
    custom<set_flag<&ProcessSettings::config_watch>, ProcessConf>(
        "config_watch", in_main, words(1), "Reload when a file of the configuration changes, ConfigMaps included; looked at every second.")
        .takes("on | off").usual("off"),
    slot<ProcessConf, &ProcessConf::pcre_jit>("pcre_jit", in_main, "Compile regular expressions to machine code (on by default)."),
    custom<check_time, ProcessConf>("timer_resolution", in_main, words(1), "Accepted; time is read once per turn of the loop.")
        .takes("time"),
    custom<set_load_module, ProcessConf>("load_module", in_main, words(1), "Accepted for what is built in, refused for anything else.")
        .many()
        .takes("file"),
};

}  // namespace

constinit const Module process_module = {
    .name = "process",
    .conf = conf_of<ProcessConf>,
    .directives = process_rows,
    .generation = keep_master,
};

static void warn_about_masks(Generation& generation, const ProcessSettings& settings) {
  size_t masks = settings.affinity.masks.size();
  if (masks == 0 || settings.affinity.automatic || masks == 1 || masks == settings.worker_processes) return;
  generation.warn("the number of \"worker_processes\" is not equal to the number of \"worker_cpu_affinity\" masks, "
                  "using last mask for remaining worker processes");
}

ConfResult<ProcessSettings> process_settings(Generation& generation, std::string_view default_user, std::string_view default_pid) {
  const ProcessConf& conf = fairlead::conf<ProcessConf>(generation.root());
  ProcessSettings settings = conf.settings;
  warn_about_masks(generation, settings);
  settings.pid_path = std::string(generation.absolute_path(conf.pid.empty() ? default_pid : conf.pid));
  settings.shutdown_delay_ms = conf.shutdown_delay;
  settings.start_timeout_ms = conf.start_timeout;
  if (settings.quit_on_parent_exit && settings.daemon) return std::string("\"quit_on_parent_exit\" needs \"daemon off\"");
  if (conf.user_given || geteuid() != 0 || default_user.empty()) return settings;
  auto identity = find_identity(std::string(default_user), {});
  if (!identity) return identity.error();
  settings.user_name = std::string(default_user);
  settings.user = identity->user;
  settings.group = identity->group;
  settings.groups = identity->groups;
  return settings;
}

namespace {

// Looks for the last `pid` at the top level of a configuration, as far as that can be read, with the files it includes there.
class PidScan {
 public:
  PidScan(std::string_view folder, std::string& found) : folder_(folder), arena_(Arena::open(4096)), found_(found) {}
  void scan(std::string_view text);

 private:
  static constexpr int depth_max = 8;
  void follow(std::string_view pattern);
  static bool skip_raw(Lexer& lexer, const Statement& statement);
  std::string folder_;  // that relative includes start from, with its slash
  Arena::Owner arena_;
  std::string& found_;
  int depth_ = 0;
};

void PidScan::follow(std::string_view pattern) {
  if (depth_ >= depth_max) return;
  ++depth_;
  std::string full = pattern.starts_with('/') ? std::string(pattern) : folder_ + std::string(pattern);
  glob_t files;
  std::string text;
  if (::glob(full.c_str(), 0, nullptr, &files) == 0) {
    for (size_t i = 0; i < files.gl_pathc; ++i)
      if (read_whole_file(files.gl_pathv[i], text)) scan(text);
    ::globfree(&files);
  }
  --depth_;
}

// A block in another language, whose braces and quotes mean nothing here.
bool PidScan::skip_raw(Lexer& lexer, const Statement& statement) {
  for (const ModuleList::Row& row : modules().rows(statement.words.empty() ? std::string_view() : statement.words[0])) {
    if (!row.directive->raw_block_end) continue;
    auto bytes = row.directive->raw_block_end(lexer.rest());
    lexer.skip(bytes ? *bytes : lexer.rest().size());
    return true;
  }
  return false;
}

void PidScan::scan(std::string_view text) {
  text = arena_->copy(text);
  Lexer lexer(text, *arena_);
  int depth = 0;
  Statement statement;
  while (lexer.next(statement)) {
    if (statement.end == StatementEnd::text_end) return;
    if (statement.end == StatementEnd::block_start) {
      if (!skip_raw(lexer, statement)) ++depth;
    } else if (statement.end == StatementEnd::block_end) --depth;
    else if (depth != 0 || statement.words.size() != 2) continue;
    else if (statement.words[0] == "pid") found_ = std::string(statement.words[1]);
    else if (statement.words[0] == "include") follow(statement.words[1]);
  }
}

}  // namespace

std::string find_pid_path(const LoadRequest& request, std::string_view default_pid) {
  std::string text, found(default_pid);
  PidScan pids(std::string_view(request.conf_path).substr(0, request.conf_path.rfind('/') + 1), found);
  if (read_whole_file(request.conf_path, text)) pids.scan(text);
  pids.scan(request.global_directives);
  return !found.empty() && found[0] == '/' ? found : request.prefix + found;
}

}  // namespace fairlead
