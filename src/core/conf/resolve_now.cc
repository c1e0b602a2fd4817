// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/resolve_now.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>

#include "core/base/clock.h"

namespace fairlead {

ConfResult<std::vector<Addr>> resolve_now(std::string_view host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = AF_UNSPEC;
  addrinfo* list = nullptr;
  if (getaddrinfo(std::string(host).c_str(), nullptr, &hints, &list) != 0) return std::string("host not found");
  std::vector<Addr> found;
  for (addrinfo* at = list; at; at = at->ai_next) {
    Addr addr = Addr::from_sockaddr(at->ai_addr, at->ai_addrlen);
    addr.set_port(port);
    if (addr.valid() && std::find(found.begin(), found.end(), addr) == found.end()) found.push_back(std::move(addr));
  }
  freeaddrinfo(list);
  if (found.empty()) return std::string("host not found");
  return found;
}

namespace {

// More would not be faster: a name server is asked, not a processor.
constexpr size_t children_max = 16;

// One address on its way from a child.
struct Sent {
  socklen_t bytes;
  sockaddr_storage address;
};

// A child process that asks for one name.
class Asking {
 public:
  explicit Asking(NameToResolve& name) : name_(name) {}
  ~Asking() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
    }
    if (fd_ >= 0) close(fd_);
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

  // False: there are no more processes or descriptors; the name stays unknown.
  bool start() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return false;
    pid_ = fork();
    if (pid_ == 0) ask(ends[1]);
    close(ends[1]);
    fd_ = ends[0];
    return pid_ > 0;
  }
  int fd() const { return fd_; }
  // Takes what is there. False: the child has said all.
  bool read_on() {
    Sent sent;
    ssize_t got = read(fd_, &sent, sizeof sent);  // records are shorter than PIPE_BUF: never torn
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    if (got != sizeof sent) return false;
    Addr addr = Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&sent.address), sent.bytes);
    addr.set_port(name_.port);
    name_.found.push_back(std::move(addr));
    return true;
  }

 private:
  [[noreturn]] void ask(int to) {
    if (auto found = resolve_now(name_.host, name_.port)) {
      for (const Addr& addr : *found) {
        Sent sent{};
        sent.bytes = addr.to_sockaddr(sent.address);
        if (write(to, &sent, sizeof sent) != sizeof sent) break;
      }
    }
    _exit(0);
  }

  NameToResolve& name_;
  pid_t pid_ = -1;
  int fd_ = -1;
};

}  // namespace

void resolve_all(std::span<NameToResolve> names, uint64_t budget_ms) {
  Clock time;
  time.update();
  uint64_t deadline = time.now_ms() + budget_ms;
  std::vector<std::unique_ptr<Asking>> asking;
  std::vector<pollfd> fds;
  for (size_t next = 0; next < names.size() || !asking.empty();) {
    while (next < names.size() && asking.size() < children_max) {
      auto one = std::make_unique<Asking>(names[next++]);
      if (one->start()) asking.push_back(std::move(one));
    }
    time.update();
    if (time.now_ms() >= deadline) return;
    fds.clear();
    for (const auto& one : asking) fds.push_back({one->fd(), POLLIN, 0});
    int ready = poll(fds.data(), fds.size(), static_cast<int>(deadline - time.now_ms()));
    for (size_t i = fds.size(); ready > 0 && i-- > 0;)
      if (fds[i].revents && !asking[i]->read_on()) asking.erase(asking.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace fairlead
