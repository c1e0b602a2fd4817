// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/cmdline.h"

#include "build_config.h"
#include "core/base/format.h"
#include "core/base/text.h"

namespace fairlead {
namespace {

// Takes options one by one; short ones may stand together ("-qtc file"), one with a value ends its word.
class Reader {
 public:
  explicit Reader(std::span<const char* const> args) : args_(args) {}

  ConfResult<> read(CommandLine& line) {
    for (; at_ < args_.size(); ++at_) {
      std::string_view word = args_[at_];
      if (word.empty() || word[0] != '-') return format("invalid option: \"{}\"", word);
      if (word.starts_with("--") && word.size() > 2) FL_TRY(read_long(line, word.substr(2)));
      else FL_TRY(read_short(line, word.substr(1)));
    }
    return Unit();
  }

 private:
  ConfResult<> read_short(CommandLine& line, std::string_view letters) {
    while (!letters.empty()) {
      char letter = letters[0];
      letters.remove_prefix(1);
      switch (letter) {
        case '?':
        case 'h': line.show_help = line.show_version = true; break;
        case 'v': line.show_version = true; break;
        case 'V': line.show_version = line.show_build = true; break;
        case 't': line.test = true; break;
        case 'T': line.test = line.dump = true; break;
        case 'q': line.quiet = true; break;
        case 'p': return take(line.prefix.emplace(), letters, "option \"-p\" requires directory name");
        case 'c': return take(line.conf.emplace(), letters, "option \"-c\" requires file name");
        case 'e': return take(line.error_log.emplace(), letters, "option \"-e\" requires file name");
        case 'g': return take(line.directives, letters, "option \"-g\" requires parameter");
        case 's': return take_signal(line, letters);
        default: return format("invalid option: \"{}\"", letter);
      }
    }
    return Unit();
  }

  // The value of an option: the rest of its word, or the next word, which may be empty.
  ConfResult<> take(std::string& to, std::string_view rest, const char* missing) {
    if (!rest.empty()) {
      to = rest;
      return Unit();
    }
    if (at_ + 1 >= args_.size()) return std::string(missing);
    to = args_[++at_];
    return Unit();
  }

  ConfResult<> take_signal(CommandLine& line, std::string_view rest) {
    FL_TRY(take(line.signal, rest, "option \"-s\" requires parameter"));
    for (std::string_view known : {"stop", "quit", "reopen", "reload", "wait"}) {
      if (line.signal == known) return Unit();
    }
    return format("invalid option: \"-s {}\"", line.signal);
  }

  static ConfResult<> read_long(CommandLine& line, std::string_view name) {
    if (name == "help") line.show_help = line.show_version = true;
    else if (name == "version") line.show_version = true;
    else if (name == "list-directives") line.list_directives = true;
    else if (name == "no-wait") line.wait = false;
    else if (name.starts_with("wait=")) return read_wait(line, name.substr(5));
    else return format("invalid option: \"--{}\"", name);
    return Unit();
  }

  static ConfResult<> read_wait(CommandLine& line, std::string_view value) {
    auto ms = parse_time_ms(value);
    if (!ms) return format("invalid value \"{}\" of option \"--wait\"", value);
    line.wait_ms = *ms;
    return Unit();
  }

  std::span<const char* const> args_;
  size_t at_ = 0;
};

std::string with_slash(std::string path) {
  if (path.empty() || path.back() != '/') path += '/';
  return path;
}

// A path that ./configure settled: below the built-in prefix it moves with -p.
std::string built_in(std::string_view path, const std::string& prefix) {
  return path_below(prefix, build_config::below_prefix(path));
}

}  // namespace

ConfResult<CommandLine> parse_command_line(std::span<const char* const> args) {
  CommandLine line;
  FL_TRY(Reader(args).read(line));
  return line;
}

std::string path_below(std::string_view prefix, std::string_view path) {
  if (!path.empty() && path[0] == '/') return std::string(path);
  return std::string(prefix).append(path);
}

StartPaths start_paths(const CommandLine& line, std::string_view current_folder) {
  StartPaths paths;
  std::string given = line.prefix.value_or(build_config::prefix);
  paths.prefix = with_slash(path_below(with_slash(std::string(current_folder)), given));
  paths.conf = line.conf ? path_below(paths.prefix, *line.conf) : built_in(build_config::conf_path, paths.prefix);
  if (!line.error_log) paths.error_log = built_in(build_config::error_log_path, paths.prefix);
  else if (line.error_log != "stderr" && line.error_log != "") paths.error_log = path_below(paths.prefix, *line.error_log);
  return paths;
}

std::string usage_text() {
  return format(
      "Usage: fairlead [-?hvVtTq] [-s signal] [-p prefix]\n"
      "                [-e filename] [-c filename] [-g directives]\n"
      "                [--wait=time | --no-wait] [--list-directives]\n"
      "\n"
      "Options:\n"
      "  -?,-h,--help      : this help\n"
      "  -v,--version      : show version and exit\n"
      "  -V                : show version and what is built in, then exit\n"
      "  -t                : test configuration and exit\n"
      "  -T                : test configuration, print it and exit\n"
      "  -q                : say nothing but errors during the test\n"
      "  -s signal         : send signal to the master process: stop, quit, reopen, reload;\n"
      "                      wait: until it serves\n"
      "  -p prefix         : set prefix path (default: {}/)\n"
      "  -e filename       : set error log file (default: {})\n"
      "  -c filename       : set configuration file (default: {})\n"
      "  -g directives     : set global directives out of configuration file\n"
      "  --wait=time       : how long -s reload and -s wait wait (default: 90s)\n"
      "  --no-wait         : -s reload only signals, -s wait looks once\n"
      "  --list-directives : list the directives this binary knows and exit\n"
      "\n",
      build_config::prefix, build_config::error_log_path, build_config::conf_path);
}

}  // namespace fairlead
