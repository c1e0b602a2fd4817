// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Finding the location of a URI among 200 (and 50 regular expressions), and evaluating variables: a text of several, one from a map of 1000
// texts, one from a map of patterns, looked up each time. Over a configuration as the product loads it.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/base/format.h"
#include "core/base/log.h"
#include "core/conf/error_log.h"
#include "core/conf/generation.h"
#include "core/conf/session.h"
#include "core/conf/session_vars.h"
#include "core/conf/template.h"
#include "core/process/conf.h"
#include "core/upstream/group.h"
#include "event/dns/resolver_conf.h"
#include "event/events_conf.h"
#include "event/file/thread_pools.h"
#include "event/net/upstream_names.h"
#include "event/tls/hot.h"
#include "http/conf/core_conf.h"
#include "http/conf/files_conf.h"
#include "http/conf/http_block.h"
#include "http/conf/server.h"
#include "http/conf/variables.h"
#include "http/h2/conf.h"

namespace fairlead {

extern const Module map_module;

namespace {

constexpr int prefixes = 200, patterns = 50;

std::string configuration() {
  std::string text = "events {}\nhttp {\n  map $bench_key $by_text { volatile; default none;\n";
  for (int i = 0; i < 1000; ++i) text += format("    key{} value{};\n", i, i);
  text += "  }\n  map $bench_key $by_pattern { volatile; default none;\n";
  for (int i = 0; i < patterns; ++i) text += format("    ~^key{}x value{};\n", i, i);
  text += "  }\n  server { listen 127.0.0.1:1;\n";
  for (int i = 0; i < prefixes; ++i) text += format("    location /api/v{}/service{}/ {{ }}\n    location = /exact{} {{ }}\n", i % 7, i, i);
  text += "  }\n  server { listen 127.0.0.1:1; server_name patterns;\n";
  for (int i = 0; i < prefixes; ++i) text += format("    location /api/v{}/service{}/ {{ }}\n", i % 7, i);
  for (int i = 0; i < patterns; ++i) text += format("    location ~ ^/app{}/[a-z]+[.](php|cgi)$ {{ }}\n", i);
  return text + "  }\n}\n";
}

// $bench_key: what the running benchmark says.
std::string_view key;
Value get_key(Session&, uintptr_t) { return Value{key}; }
constexpr VariableDef variables[] = {{.name = "bench_key", .get = get_key, .flags = variable_volatile}};
constinit const Module bench_module = {.name = "bench", .variables = variables};

[[noreturn]] void fail(std::string_view why) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(why.size()), why.data());
  std::exit(1);
}

Generation& loaded() {
  static std::unique_ptr<Generation> generation;
  if (generation) return *generation;
  auto assigned = modules().assign({&bench_module, &map_module, &error_log_module, &process_module, &events_module, &thread_pools_module,
                                    &upstream_module, &resolver_module, &upstream_names_module, &tls_hot_module,
                                    &session_variables_module, &http::http_blocks_module, &http::http_core_module,
                                    &http::http_files_module, &http::h2::http_v2_module, &http::http_request_variables_module,
                                    &http::http_connection_variables_module, &http::http_upstream_variables_module});
  if (!assigned) fail(assigned.error());
  char folder[] = "/tmp/fairlead-bench-XXXXXX";
  if (!mkdtemp(folder)) fail("mkdtemp() failed");
  LoadRequest request;
  request.prefix = std::string(folder) + "/";
  request.conf_path = request.prefix + "bench.conf";
  request.error_log_path = "stderr";
  std::ofstream(request.conf_path) << configuration();
  auto made = Generation::load(request, nullptr);
  if (!made) fail(made.error());
  std::remove(request.conf_path.c_str());
  std::remove(folder);
  generation = std::move(*made);
  return *generation;
}

void find(benchmark::State& bench, size_t server, std::string_view uri) {
  Generation& generation = loaded();
  http::Location& root = *http::http_block_of(generation)->servers[server]->root;
  Arena::Owner arena = Arena::open(4096);
  Session session(*arena, generation, generation.variables(http_variable));
  session.block = root.block;
  for (auto unused : bench) {
    (void)unused;
    http::Found found = http::find_location(root, uri, session);
    benchmark::DoNotOptimize(found.location);
  }
}
BENCHMARK_CAPTURE(find, exact, 0, "/exact137");
BENCHMARK_CAPTURE(find, prefix, 0, "/api/v4/service137/users/42/orders");
BENCHMARK_CAPTURE(find, none, 0, "/nothing/like/that");
BENCHMARK_CAPTURE(find, prefix_past_50_patterns, 1, "/api/v4/service137/users/42/orders");
BENCHMARK_CAPTURE(find, last_of_50_patterns, 1, "/app49/index.php");

void evaluate(benchmark::State& bench, std::string_view text, std::string_view bench_key) {
  Generation& generation = loaded();
  auto compiled = Template::compile(text, generation.variables(http_variable), Place{"bench", 1});
  if (!compiled || !generation.variables(http_variable).finish()) fail("the text is no template");
  key = bench_key;
  uint64_t turns = 0;
  Arena::Owner arena = Arena::open(4096);
  Session* session = nullptr;
  for (auto unused : bench) {
    (void)unused;
    if (turns++ % 16 == 0) {  // sixteen texts of a request, then another request
      arena = Arena::open(4096);
      session = arena->make<Session>(*arena, generation, generation.variables(http_variable));
      session->block = &generation.root();
    }
    benchmark::DoNotOptimize(compiled->evaluate(*session));
  }
}
BENCHMARK_CAPTURE(evaluate, literal, "a text without variables", "");
BENCHMARK_CAPTURE(evaluate, one_variable, "$pid", "");
BENCHMARK_CAPTURE(evaluate, text_of_four, "$pid - $hostname [$time_iso8601] \"$bench_key\"", "some key");
BENCHMARK_CAPTURE(evaluate, map_of_1000_texts, "$by_text", "key777");
BENCHMARK_CAPTURE(evaluate, map_of_50_patterns, "$by_pattern", "key49x");

}  // namespace
}  // namespace fairlead
