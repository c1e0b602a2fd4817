// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The rows of FilesConf: open_file_cache*, disable_symlinks, directio*, read_ahead, output_buffers, aio.
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "event/file/thread_pools.h"
#include "http/conf/files_conf.h"

namespace fairlead::http {
namespace {

constexpr std::string_view no_value = "invalid value";

// open_file_cache off | max=N [inactive=TIME]
ConfResult<Unit> set_open_file_cache(Line& line, FilesConf& own) {
  OpenFileCache::Limits limits;
  bool off = false;
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    bool good = false;
    if (word.starts_with("max=")) {
      auto number = parse_decimal(word.substr(4));
      good = number && *number > 0;
      limits.files_max = number.value_or(0);
    } else if (word.starts_with("inactive=")) {
      auto ms = parse_time_ms(word.substr(9), TimeGrain::seconds);
      good = ms.has_value();
      limits.inactive_ms = ms.value_or(0);
    } else {
      good = off = word == "off";
    }
    if (!good) return format("invalid \"{}\" parameter \"{}\"", line.name(), word);
  }
  own.open_file_cache = nullptr;
  if (off) return Unit();
  if (limits.files_max == 0) return format("\"{}\" must have the \"max\" parameter", line.name());
  own.open_file_cache = line.arena().make<OpenFileCache::Limits>(limits);
  return Unit();
}

// disable_symlinks off | on|if_not_owner [from=PART]
ConfResult<Unit> set_disable_symlinks(Line& line, FilesConf& own) {
  bool given = false;
  own.symlinks_from = Template();
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    if (word == "off" || word == "on" || word == "if_not_owner") {
      given = true;
      own.symlinks = word == "off" ? Symlinks::allowed : word == "on" ? Symlinks::refused : Symlinks::if_not_owner;
    } else if (word.starts_with("from=")) {
      auto from = compile_text(line, word.substr(5));
      if (!from) return from.error();
      own.symlinks_from = std::move(*from);
    } else {
      return line.invalid_parameter(i);
    }
  }
  if (!given) return format("\"{}\" must have \"off\", \"on\" or \"if_not_owner\" parameter", line.name());
  if (own.symlinks == Symlinks::allowed && own.symlinks_from.is_set())
    return std::string("\"from=\" cannot be used with \"off\" parameter");
  return Unit();
}

ConfResult<Unit> set_directio(Line& line, FilesConf& own) {
  if (line.word(1) == "off") {
    own.directio_bytes = UINT64_MAX;
    return Unit();
  }
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_giga);
  if (!bytes) return line.directive_reason(no_value);
  own.directio_bytes = *bytes;
  return Unit();
}

ConfResult<Unit> set_directio_alignment(Line& line, FilesConf& own) {
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_giga);
  constexpr uint64_t most = 1024 * 1024;
  if (!bytes || *bytes == 0 || *bytes > most || (*bytes & (*bytes - 1)) != 0) return line.directive_reason(no_value);
  own.directio_alignment.bytes = *bytes;
  return Unit();
}

// aio off | threads[=POOL]. The kernel's own asynchronous reads are not used.
ConfResult<Unit> set_aio(Line& line, FilesConf& own) {
  std::string_view word = line.word(1);
  if (word == "off") {
    own.aio = Aio::off;
    return Unit();
  }
  if (word == "on") return std::string("\"aio on\" is unsupported on this platform");
  if (word != "threads" && !word.starts_with("threads=")) return line.directive_reason(no_value);
  own.aio = Aio::threads;
  own.aio_pool = Template("default");
  if (word == "threads") return Unit();
  auto pool = compile_text(line, word.substr(8));
  if (!pool) return pool.error();
  own.aio_pool = std::move(*pool);
  return Unit();
}

ConfResult<Unit> finish_files(Block& block, FilesConf& own) {
  if (own.aio == Aio::off || !own.aio_pool.is_literal() || !block.is_set("aio")) return Unit();
  std::string_view name = own.aio_pool.literal();
  for (const ThreadPoolSpec& spec : conf<ThreadPoolsConf>(*block.enclosing(in_main)).pools)
    if (spec.name == name) return Unit();
  if (name == "default") return Unit();
  return format("unknown thread pool \"{}\"{}\n", name, at_place(block.place()));
}

constexpr uint32_t any = in_http_any;

constexpr Directive rows[] = {
    custom<set_open_file_cache, FilesConf, &FilesConf::open_file_cache>("open_file_cache", any, words(1, 2),
        "Keeps so many open files, facts about folders and (open_file_cache_errors) errors; what nobody asks for that long goes.")
        .takes("off | max=number [inactive=time]").usual("off"),
    slot<FilesConf, &FilesConf::open_file_cache_valid>("open_file_cache_valid", any,
                                                       "After that time what is kept is checked against the file system."),
    slot<FilesConf, &FilesConf::open_file_cache_min_uses>("open_file_cache_min_uses", any,
                                                          "From so many uses on a file is kept open; before only the facts are kept."),
    slot<FilesConf, &FilesConf::open_file_cache_errors>("open_file_cache_errors", any, "Whether errors are kept, too."),
    custom<set_disable_symlinks, FilesConf, &FilesConf::symlinks, &FilesConf::symlinks_from>("disable_symlinks", any, words(1, 2),
        "Refuses paths with symbolic links, or those whose links and targets have different owners; `from`: the part that is trusted.")
        .takes("off | on | if_not_owner [from=part]").usual("off"),
    custom<set_directio, FilesConf, &FilesConf::directio_bytes>("directio", any, words(1),
        "Files of this size and more are read past the page cache (O_DIRECT), without sendfile().")
        .takes("size | off").usual("off"),
    custom<set_directio_alignment, FilesConf, &FilesConf::directio_alignment>("directio_alignment", any, words(1),
        "What the system wants such reads to be aligned to, a power of two.")
        .takes("size").usual("512"),
    slot<FilesConf, &FilesConf::read_ahead>("read_ahead", any, "Tells the system to read larger files ahead; 0: nothing is told."),
    slot<FilesConf, &FilesConf::output_buffers>("output_buffers", any,
                                                "Size of the reads from a file, and how many of them leave in one write at most."),
    custom<set_aio, FilesConf, &FilesConf::aio, &FilesConf::aio_pool>("aio", any, words(1),
        "Whether threads read files whose bytes are not in memory, and those of which thread_pool.")
        .takes("off | threads[=pool]").usual("off"),
    slot<FilesConf, &FilesConf::aio_write>("aio_write", any,
        "Whether temporary files are written by the threads of `aio`; else the default pool's do it."),
};

}  // namespace

constinit const Module http_files_module = {
    .name = "http_files",
    .conf = conf_of<FilesConf>,
    .directives = rows,
    .finish = finish_of<finish_files, FilesConf>,
};

}  // namespace fairlead::http
