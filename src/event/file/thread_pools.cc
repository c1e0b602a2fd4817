// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/file/thread_pools.h"

#include <string>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/conf/line.h"
#include "event/worker.h"

namespace fairlead {
namespace {

constexpr std::string_view default_name = "default";
constexpr uint64_t threads_limit = 1024;

ConfResult<Unit> set_thread_pool(Line& line, ThreadPoolsConf& own) {
  ThreadPoolSpec spec;
  spec.name = line.word(1);
  bool has_threads = false;
  for (const ThreadPoolSpec& known : own.pools)
    if (known.name == spec.name) return format("duplicate thread pool \"{}\"", spec.name);
  for (size_t i = 2; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    if (word.starts_with("threads=")) {
      auto number = parse_decimal(word.substr(8));
      if (!number || *number == 0 || *number > threads_limit) return format("invalid threads value \"{}\"", word);
      spec.threads = static_cast<unsigned>(*number);
      has_threads = true;
    } else if (word.starts_with("max_queue=")) {
      auto number = parse_decimal(word.substr(10));
      if (!number) return format("invalid max_queue value \"{}\"", word);
      spec.queue_max = *number;
    } else {
      return line.invalid_parameter(i);
    }
  }
  if (!has_threads) return format("\"{}\" directive must have \"threads\" parameter", line.name());
  own.pools.push_back(spec);
  return Unit();
}

constexpr Directive rows[] = {
    custom<set_thread_pool, ThreadPoolsConf>("thread_pool", in_main, words(2, 3),
                                             "Threads for file calls, by name: how many, and how many calls may wait for one.")
        .many()
        .takes("name threads=number [max_queue=number]"),
};

}  // namespace

constinit const Module thread_pools_module = {
    .name = "thread_pools",
    .conf = conf_of<ThreadPoolsConf>,
    .directives = rows,
};

const ThreadPoolSpec* find_thread_pool(Generation& generation, std::string_view name) {
  static constexpr ThreadPoolSpec standard{default_name};
  bool has_lines = conf_index<ThreadPoolsConf> != no_conf_index;  // simulations run without this module
  if (has_lines)
    for (const ThreadPoolSpec& spec : conf<ThreadPoolsConf>(generation.root()).pools)
      if (spec.name == name) return &spec;
  return name == default_name ? &standard : nullptr;
}

BlockingPool* ThreadPools::find(std::string_view name) {
  if (name == default_name) return &worker_.files();
  for (auto& pool : made_)
    if (pool->name() == name) return pool.get();
  const ThreadPoolSpec* spec = find_thread_pool(worker_.generation(), name);
  if (!spec) return nullptr;
  made_.push_back(std::make_unique<BlockingPool>(worker_.loop(), std::string(name), spec->threads, spec->queue_max));
  return made_.back().get();
}

}  // namespace fairlead
