// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What one small proxied request on warm keepalive connections may cost, counted, not timed: blocks of the pool, calls of the general
// heap, system calls that carry data. A real configuration over real sockets; client and upstream are this program, between the turns of
// the loop. Fails above the budget. Times and instructions are the benchmarks' matter.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/base/pool.h"
#include "core/conf/error_log.h"
#include "core/conf/generation.h"
#include "event/worker.h"
#include "http/conf/http_block.h"
#include "http/request/serve.h"
#include "program.h"

// ---- what is counted while the engine runs

namespace {

// Of one request. Pool: three frames (serve_one, handle, try_peers), the request's arena, in which the heads are written, the segments of
// the client's head and of the upstream's reply.
constexpr uint64_t pool_blocks_max = 5, heap_calls_max = 0, data_calls_max = 4;

bool engine_runs = false;
uint64_t heap_calls = 0, data_calls = 0;

ssize_t data_call(long number, long a, const void* b, size_t c, long d = 0) {
  if (engine_runs) ++data_calls;
  return syscall(number, a, b, c, d, nullptr, 0);
}

void* heap_call(size_t bytes) {
  if (engine_runs) ++heap_calls;
  void* block = std::malloc(bytes ? bytes : 1);
  if (!block) std::abort();
  return block;
}

}  // namespace

// In front of libc's and libstdc++'s for the whole program.
void* operator new(size_t bytes) { return heap_call(bytes); }
void* operator new[](size_t bytes) { return heap_call(bytes); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t) noexcept { std::free(block); }

extern "C" {
__attribute__((visibility("default"))) ssize_t recv(int fd, void* to, size_t room, int flags) {
  return data_call(SYS_recvfrom, fd, to, room, flags);
}
__attribute__((visibility("default"))) ssize_t send(int fd, const void* from, size_t bytes, int flags) {
  return data_call(SYS_sendto, fd, from, bytes, flags);
}
__attribute__((visibility("default"))) ssize_t read(int fd, void* to, size_t room) { return data_call(SYS_read, fd, to, room); }
__attribute__((visibility("default"))) ssize_t write(int fd, const void* from, size_t bytes) {
  return data_call(SYS_write, fd, from, bytes);
}
__attribute__((visibility("default"))) ssize_t readv(int fd, const iovec* to, int count) {
  return data_call(SYS_readv, fd, to, static_cast<size_t>(count));
}
__attribute__((visibility("default"))) ssize_t writev(int fd, const iovec* from, int count) {
  return data_call(SYS_writev, fd, from, static_cast<size_t>(count));
}
}

namespace {

using namespace fairlead;

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "request_budget: %s\n", why.c_str());
  std::exit(1);
}

struct Listening {
  int fd;
  uint16_t port;
};

Listening listen_anywhere(int flags) {
  int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  if (bind(fd, reinterpret_cast<sockaddr*>(&at), size) < 0 || ::listen(fd, 8) < 0) fail("cannot listen");
  getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  return {fd, ntohs(at.sin_port)};
}

int connect_to(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) fail("cannot connect");
  return fd;
}

constexpr std::string_view request = "GET /path HTTP/1.1\r\nHost: localhost\r\nUser-Agent: budget\r\nAccept: */*\r\n\r\n";
const std::string reply = "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
                          "Content-Length: 256\r\nConnection: keep-alive\r\n\r\n" + std::string(256, 'x');

// The engine with its two neighbours.
class Scene {
 public:
  Scene(Worker& worker, uint16_t port, int upstream) : worker_(worker), upstream_listener_(upstream), client_(connect_to(port)) {}
  ~Scene() {
    close(client_);
    close(upstream_);
  }
  void exchange() {
    put(client_, request);
    if (upstream_ < 0) {
      turn();  // accepts
      wait_for(upstream_listener_);
      upstream_ = accept(upstream_listener_, nullptr, nullptr);
    }
    wait_for(upstream_);
    if (!get(upstream_).ends_with("\r\n\r\n")) fail("the upstream got half a request");
    put(upstream_, reply);
    wait_for(client_);
    std::string got = get(client_);
    if (!got.starts_with("HTTP/1.1 200 OK\r\n") || !got.ends_with(std::string(256, 'x'))) fail("unexpected response: " + got);
    turn();  // what is left to do behind the last write
  }

 private:
  void turn() {
    engine_runs = true;
    worker_.loop().turn(10);
    engine_runs = false;
  }
  void wait_for(int fd) {
    char byte;
    for (int turns = 0; turns < 500; ++turns) {
      if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0 || (fd == upstream_listener_ && has_pending(fd))) return;
      turn();
    }
    fail("the engine does nothing");
  }
  static bool has_pending(int listener) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(listener, &set);
    timeval none{};
    return select(listener + 1, &set, nullptr, nullptr, &none) > 0;
  }
  static void put(int fd, std::string_view text) {
    if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) fail("cannot write");
  }
  static std::string get(int fd) {
    char text[4096];
    ssize_t bytes = read(fd, text, sizeof text);
    return bytes > 0 ? std::string(text, static_cast<size_t>(bytes)) : std::string();
  }

  Worker& worker_;
  int upstream_listener_;
  int client_;
  int upstream_ = -1;
};

bool within(const char* what, uint64_t count, uint64_t requests, uint64_t most) {
  bool good = count <= most * requests;
  std::printf("%s: %.2f per request, budget %llu%s\n", what, static_cast<double>(count) / static_cast<double>(requests),
              static_cast<unsigned long long>(most), good ? "" : ": EXCEEDED");
  return good;
}

int measure(Worker& worker, uint16_t port, int upstream) {
  constexpr uint64_t warm_up = 20, requests = 200;
  Scene scene(worker, port, upstream);
  for (uint64_t i = 0; i < warm_up; ++i) scene.exchange();
  uint64_t blocks = pool_counts().allocations, heap = heap_calls, data = data_calls;
  for (uint64_t i = 0; i < requests; ++i) scene.exchange();
  bool good = within("pool blocks", pool_counts().allocations - blocks, requests, pool_blocks_max);
  good = within("heap calls", heap_calls - heap, requests, heap_calls_max) && good;
  good = within("data system calls", data_calls - data, requests, data_calls_max) && good;
  return good ? 0 : 1;
}

std::string write_configuration(const std::string& folder, uint16_t port, uint16_t upstream_port) {
  std::string path = folder + "/budget.conf";
  std::ofstream(path) << format(
      "events {{}}\nhttp {{ access_log off;\n upstream pool {{ server 127.0.0.1:{}; keepalive 8; }}\n"
      " server {{ listen 127.0.0.1:{}; location / {{ proxy_pass http://pool; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} "
      "}} }}\n",
      upstream_port, port);
  return path;
}

}  // namespace

int main() {
  process_clock.update();
  auto assigned = assign_modules();
  if (!assigned) fail(assigned.error());
  char folder[] = "/tmp/request_budget.XXXXXX";
  if (!mkdtemp(folder)) fail("no folder");
  Listening front = listen_anywhere(SOCK_NONBLOCK), upstream = listen_anywhere(0);
  LoadRequest load;
  load.prefix = std::string(folder) + "/";
  load.conf_path = write_configuration(folder, front.port, upstream.port);
  load.error_log_path = "stderr";
  auto generation = Generation::load(load, nullptr);
  unlink(load.conf_path.c_str());
  rmdir(folder);
  if (!generation) fail(generation.error());
  auto attached = (*generation)->zones.attach(nullptr);
  if (!attached) fail(attached.error());
  auto loop = Loop::open();
  if (!loop) fail(loop.error().what);
  int status = 1;
  {
    WorkerRow row;
    Worker worker(**loop, **generation, row);
    http::HttpServer server(worker, *http::http_block_of(**generation)->listens.groups.front());
    worker.listen(front.fd, server);
    worker.start_modules();
    status = measure(worker, front.port, upstream.fd);
    worker.stop_modules();
  }
  return status;
}
