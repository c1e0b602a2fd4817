// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What simulations of HTTP share: a configuration that says nothing, a network with faults from a seed, bodies that say where they stand.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "core/conf/error_log.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "core/process/conf.h"
#include "event/events_conf.h"
#include "event/net/memory.h"
#include "t/sim/sim.h"

namespace fairlead::sim {

// What sessions refer to: a configuration that says nothing. One for all seeds.
inline Generation& empty_generation() {
  static std::unique_ptr<Generation> generation = [] {
    auto assigned = modules().assign({&error_log_module, &process_module, &events_module});
    FL_ASSERT(assigned);
    char folder[] = "/tmp/fairlead-sim-XXXXXX";
    LoadRequest request;
    request.prefix = std::string(mkdtemp(folder)) + "/";
    request.conf_path = request.prefix + "fairlead.conf";
    request.error_log_path = "stderr";
    std::ofstream(request.conf_path) << "events {}\n";
    auto loaded = Generation::load(request, nullptr);
    unlink(request.conf_path.c_str());
    rmdir(folder);
    FL_ASSERT(loaded);
    return std::move(*loaded);
  }();
  return *generation;
}

// Bytes that say where they stand.
inline std::string pattern(uint64_t id, size_t bytes) {
  std::string text(bytes, ' ');
  for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + (id * 31 + i) % 26);
  return text;
}

class RandomScript final : public MemoryScript {
 public:
  RandomScript(Random& random, bool calm) : random_(random), calm_(calm) {}
  size_t accept_bytes(size_t offered) override {
    if (calm_ || random_.one_in(2)) return offered;
    return random_.one_in(8) ? 0 : random_.between(1, offered);
  }
  size_t give_bytes(size_t present) override { return calm_ || random_.one_in(2) ? present : random_.between(1, present); }
  uint64_t delay_ms() override { return calm_ ? 0 : random_.below(20); }
  uint64_t full_ms() override { return random_.between(1, 10); }

 private:
  Random& random_;
  bool calm_;
};

// `body` in chunks, with trailers now and then.
inline std::string chunked(Random& random, std::string_view body) {
  std::string coded;
  while (!body.empty()) {
    size_t bytes = random.between(1, body.size());
    coded += format("{:x}\r\n{}\r\n", bytes, body.substr(0, bytes));
    body.remove_prefix(bytes);
  }
  return coded + (random.one_in(3) ? "0\r\nX-Trailer: 1\r\n\r\n" : "0\r\n\r\n");
}

}  // namespace fairlead::sim
