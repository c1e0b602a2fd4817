// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/syslog.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "core/base/clock.h"

namespace fairlead {
namespace {

// A datagram socket bound to `addr`; says what it received.
class Server {
 public:
  explicit Server(const Addr& addr) : socket_(socket(addr.family() == Addr::Family::local ? AF_UNIX : AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_storage storage;
    socklen_t size = addr.to_sockaddr(storage);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&storage), size), 0);
    timeval limit{2, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }
  ~Server() { close(socket_); }
  Addr addr() const {
    sockaddr_storage storage;
    socklen_t size = sizeof(storage);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&storage), &size);
    return Addr::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size);
  }
  std::string receive() {
    char buffer[4096];
    ssize_t size = recv(socket_, buffer, sizeof(buffer), 0);
    return size < 0 ? "nothing" : std::string(buffer, static_cast<size_t>(size));
  }

 private:
  int socket_;
};

struct Recorder final : LogSink {
  std::vector<std::string> lines;
  void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
};

class SyslogTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC0", 1);
    clock().set_virtual(784111777000);
    default_log().clear();
    default_log().add(reports, LogLevel::info);
  }
  void TearDown() override {
    clock().set_real();
    default_log().clear();
  }
  SyslogTarget target(std::string_view parameters) {
    ConfResult<SyslogTarget> parsed = parse_syslog(parameters);
    EXPECT_TRUE(parsed) << parsed.error();
    return *parsed;
  }
  Recorder reports;
};

TEST_F(SyslogTest, Udp) {
  Server server(Addr::inet(0x7f000001, 0));
  SyslogSink sink(target("server=" + server.addr().text() + ",nohostname"));
  Log log;
  log.add(sink, LogLevel::info);
  Logger(log, 3).error("x");
  EXPECT_EQ(server.receive(), "<187>Nov  6 08:49:37 nginx: 1994/11/06 08:49:37 [error] " + format("{}#{}: *3 x", getpid(), gettid()));
  EXPECT_TRUE(sink.send("access"));
  EXPECT_EQ(server.receive(), "<190>Nov  6 08:49:37 nginx: access");
}

TEST_F(SyslogTest, AllParameters) {
  Server server(Addr::inet(0x7f000001, 0));
  SyslogSink sink(target("tag=a_1,severity=debug,facility=kern,server=" + server.addr().text()));
  char hostname[256] = {};
  gethostname(hostname, sizeof(hostname) - 1);
  for (char& c : hostname) c = static_cast<char>(tolower(c));
  EXPECT_TRUE(sink.send("t"));
  EXPECT_EQ(server.receive(), "<7>Nov  6 08:49:37 " + std::string(hostname) + " a_1: t");
}

TEST_F(SyslogTest, UnixSocketComesBack) {
  char folder[] = "/tmp/fairlead-syslog-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  std::string path = std::string(folder) + "/log";
  SyslogSink sink(target("server=unix:" + path + ",nohostname"));
  EXPECT_FALSE(sink.send("lost"));
  EXPECT_FALSE(sink.send("lost too"));
  EXPECT_EQ(sink.dropped(), 2u);
  ASSERT_EQ(reports.lines.size(), 1u);  // reported once
  EXPECT_NE(reports.lines[0].find("connect() failed while logging to syslog, server: unix:" + path + " (2: No such file"),
            std::string::npos);
  for (const char* text : {"first", "second"}) {
    Server server(Addr::local(path));
    sink.send(text);  // the first one after a restart may be lost: it finds the old socket dead
    EXPECT_TRUE(sink.send(text));
    EXPECT_EQ(server.receive(), std::string("<190>Nov  6 08:49:37 nginx: ") + text);
    unlink(path.c_str());
  }
  EXPECT_EQ(reports.lines.size(), 2u);
  rmdir(folder);
}

TEST_F(SyslogTest, OwnReportDoesNotComeBack) {
  SyslogSink sink(target("server=unix:/nonexistent/fairlead"));
  default_log().add(sink, LogLevel::info);
  Logger().error("x");
  EXPECT_EQ(sink.dropped(), 1u);
  EXPECT_EQ(reports.lines.size(), 2u);
}

TEST_F(SyslogTest, ParsedTargets) {
  SyslogTarget named = target("server=logs.example:1514");
  EXPECT_FALSE(named.server.valid());
  EXPECT_EQ(named.server_name, "logs.example");
  EXPECT_EQ(named.server_port, 1514);
  EXPECT_EQ(target("server=127.0.0.1").server.text(), "127.0.0.1:514");
  EXPECT_EQ(target("server=[::1]:12").server.text(), "[::1]:12");
  EXPECT_EQ(target("server=127.0.0.1,facility=local0").facility, 16);
  EXPECT_EQ(target("server=127.0.0.1,facility=cron").facility, 15);
  EXPECT_EQ(target("server=127.0.0.1,tag=").tag, "");
}

// The reasons of nginx 1.22.
TEST_F(SyslogTest, Refused) {
  const char* cases[][2] = {
      {"", "unknown syslog parameter \"\""},
      {"server=", "no host in syslog server \"\""},
      {"server=127.0.0.1,foo=1", "unknown syslog parameter \"foo=1\""},
      {"server=127.0.0.1,facility=USER", "unknown syslog facility \"USER\""},
      {"server=127.0.0.1,severity=x", "unknown syslog severity \"x\""},
      {"server=127.0.0.1,tag=a-b", "syslog \"tag\" only allows alphanumeric characters and underscore"},
      {"server=127.0.0.1,tag=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "syslog tag length exceeds 32"},
      {"facility=user", "no syslog server specified"},
      {"server=127.0.0.1,server=1.2.3.4", "duplicate syslog \"server\""},
      {"server=127.0.0.1,tag=a,tag=b", "duplicate syslog \"tag\""},
      {"server=127.0.0.1,facility=user,facility=user", "duplicate syslog \"facility\""},
      {"server=127.0.0.1,severity=info,severity=info", "duplicate syslog \"severity\""},
      {"server=127.0.0.1,nohostname,", "unknown syslog parameter \"\""},
      {"server=127.0.0.1:0", "invalid port in syslog server \"127.0.0.1:0\""},
      {"server=unix:", "no path in the unix domain socket in syslog server \"unix:\""},
  };
  for (const auto& c : cases) {
    ConfResult<SyslogTarget> parsed = parse_syslog(c[0]);
    ASSERT_FALSE(parsed) << c[0];
    EXPECT_EQ(parsed.error(), c[1]);
  }
}

}  // namespace
}  // namespace fairlead
