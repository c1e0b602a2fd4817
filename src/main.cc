// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Composition root: the list of modules, the command line, the process.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "core/base/clock.h"
#include "core/conf/error_log.h"
#include "core/conf/generation.h"
#include "core/conf/session_vars.h"
#include "core/upstream/upstream_block.h"
#include "event/dns/resolver_conf.h"
#include "event/events_conf.h"
#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/conf/http_block.h"
#include "http/conf/variables.h"
#include "http/request/serve.h"
#include "module_list.h"

namespace fairlead {

static ConfResult<Unit> assign_modules() {
  std::vector<const Module*> all = {&error_log_module, &events_module, &http::http_blocks_module, &http::http_core_module,
                                    &session_variables_module, &http::http_request_variables_module,
                                    &http::http_connection_variables_module, &http::http_upstream_variables_module,
                                    &upstream_module, &resolver_module};
  for (const Module* module : linked_modules) all.push_back(module);
  return modules().assign(std::move(all));
}

static Worker* the_worker;

static int serve(Generation& generation) {
  auto loop = Loop::open();
  if (!loop) return 2;
  Worker worker(std::move(*loop), generation, 0);
  the_worker = &worker;
  std::vector<std::unique_ptr<http::HttpServer>> servers;
  http::HttpBlock* block = http::http_block_of(generation);
  if (!block) return 1;
  for (auto& group : block->listens.groups) {
    sockaddr_storage storage;
    socklen_t size = group->own->addr.to_sockaddr(storage);
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, reinterpret_cast<sockaddr*>(&storage), size) < 0 || listen(fd, 511) < 0) {
      Logger().emerg(Errno{errno}, "bind() to {} failed", group->own->addr.text());
      return 1;
    }
    servers.push_back(std::make_unique<http::HttpServer>(worker, *group));
    worker.listen(fd, *servers.back());
  }
  signal(SIGTERM, [](int) { the_worker->stop(); });
  worker.run();
  return 0;
}

}  // namespace fairlead

int main(int argc, char** argv) {
  using namespace fairlead;
  signal(SIGPIPE, SIG_IGN);
  process_clock.update();
  copy_log_to_console(true);
  LoadRequest request;
  request.prefix = "/tmp/";
  bool test = false;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "-c")) request.conf_path = argv[++i];
    else if (!std::strcmp(argv[i], "-p")) request.prefix = argv[++i];
    else if (!std::strcmp(argv[i], "-t")) test = true;
  }
  if (request.prefix.back() != '/') request.prefix += '/';
  request.error_log_path = "stderr";
  auto assigned = assign_modules();
  if (!assigned) {
    Logger().emerg("{}", assigned.error());
    return 1;
  }
  auto generation = Generation::load(request, nullptr);
  if (!generation) {
    Logger().emerg("{}", generation.error());
    return 1;
  }
  auto opened = (*generation)->open_logs();
  if (!opened) {
    Logger().emerg("{}", opened.error());
    return 1;
  }
  if (test) return 0;
  return serve(**generation);
}
