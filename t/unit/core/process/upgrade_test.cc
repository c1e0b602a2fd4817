// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Changing the binary under traffic: the test binary executes itself as old and new server; nginx, where installed, is the old one too.
#include <gtest/gtest.h>

#include "t/unit/core/process/running_server.h"
#include "t/unit/core/process/tiny_server.h"

namespace fairlead {
namespace {

using tiny::ask;
using tiny::eventually;
using tiny::RunningServer;

class Upgrade : public testing::Test {
 protected:
  // A daemon on IPv4, IPv6 and a unix socket.
  void serve() {
    six_ = tiny::free_port("::1");
    path_ = server_.folder + "sock";
    conf_ = server_.listen() + "listen " + six_.text() + "\nlisten unix:" + path_ + "\nworkers 2\n";
    ASSERT_EQ(server_.serve_as_daemon(conf_), 0) << server_.output();
    old_ = server_.master();
    ASSERT_TRUE(all_answer());
  }
  void change_binary() {
    kill(old_, SIGUSR2);
    ASSERT_TRUE(eventually([&] { return server_.master() != old_ && server_.master() > 0; })) << server_.log();
    new_ = server_.master();
    EXPECT_EQ(server_.pid_in("pid.oldbin"), old_);
  }
  bool all_answer() { return ask(server_.ip) && ask(six_) && ask(Addr::local(path_)); }
  // Whose worker answers now. A worker of nginx, which says nothing unasked, is not waited for long: it may drain, and others come.
  pid_t answering() {
    std::string stat = read_small_file(format("/proc/{}/stat", ask(server_.ip, 1).pid)).value_or("");
    pid_t parent = 0;
    sscanf(stat.c_str() + std::min(stat.rfind(')'), stat.size()), ") %*c %d", &parent);
    return parent;
  }
  // All answers come from workers of `master`, from some moment on.
  bool only(pid_t master) {
    return eventually([&] {
      for (int i = 0; i < 10; ++i) {
        if (answering() != master) return false;
      }
      return true;
    });
  }

  RunningServer server_;
  Addr six_;
  std::string path_, conf_;
  pid_t old_ = 0, new_ = 0;
};

TEST_F(Upgrade, TheNewBinaryTakesOver) {
  ASSERT_NO_FATAL_FAILURE(serve());
  ASSERT_NO_FATAL_FAILURE(change_binary());
  EXPECT_TRUE(server_.logged("using inherited sockets from \"") || server_.output().find("using inherited") != std::string::npos);
  kill(old_, SIGWINCH);
  EXPECT_TRUE(only(new_));
  EXPECT_TRUE(all_answer());
  kill(old_, SIGQUIT);
  EXPECT_TRUE(RunningServer::gone(old_));
  EXPECT_FALSE(server_.exists("pid.oldbin"));
  EXPECT_EQ(server_.master(), new_);
  EXPECT_TRUE(all_answer());  // the unix socket's file is still there
  EXPECT_EQ(server_.tell("reload"), 0) << server_.output();
  EXPECT_TRUE(all_answer());
  EXPECT_EQ(server_.tell("quit"), 0);
  EXPECT_TRUE(RunningServer::gone(new_));
  EXPECT_FALSE(server_.exists("sock"));  // its last owner removed it
  EXPECT_FALSE(server_.exists("pid"));
}

TEST_F(Upgrade, HupOnTheOldMasterIsTheWayBack) {
  ASSERT_NO_FATAL_FAILURE(serve());
  ASSERT_NO_FATAL_FAILURE(change_binary());
  kill(old_, SIGWINCH);
  EXPECT_TRUE(only(new_));
  server_.write_conf("refuse the old configuration is kept, not read\n");
  kill(old_, SIGHUP);
  EXPECT_TRUE(eventually([&] { return answering() == old_; })) << server_.log();
  kill(new_, SIGQUIT);
  EXPECT_TRUE(eventually([&] { return server_.master() == old_; }));
  EXPECT_FALSE(server_.exists("pid.oldbin"));
  EXPECT_TRUE(only(old_));
  EXPECT_TRUE(all_answer());  // the leaving new master removed no socket file
  EXPECT_EQ(server_.status().pid, old_);
  server_.write_conf("daemon on\n" + conf_);
  EXPECT_EQ(server_.tell("reload"), 0) << server_.output();
}

TEST_F(Upgrade, TheEndOfTheNewBinaryBringsTheWorkersBack) {
  ASSERT_NO_FATAL_FAILURE(serve());
  ASSERT_NO_FATAL_FAILURE(change_binary());
  kill(old_, SIGWINCH);
  EXPECT_TRUE(only(new_));
  kill(new_, SIGTERM);
  EXPECT_TRUE(eventually([&] { return server_.master() == old_; }));
  EXPECT_TRUE(server_.logged(format("new binary process {} exited with code 0", new_)));
  EXPECT_TRUE(only(old_));
  EXPECT_TRUE(all_answer());
}

TEST_F(Upgrade, ANewBinaryThatCannotStartChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(serve());
  server_.write_conf("refuse no\n");
  kill(old_, SIGUSR2);
  EXPECT_TRUE(server_.logged("exited with code 1"));
  EXPECT_TRUE(eventually([&] { return server_.master() == old_ && !server_.exists("pid.oldbin"); }));
  EXPECT_TRUE(all_answer());
}

TEST_F(Upgrade, OneAtATime) {
  ASSERT_NO_FATAL_FAILURE(serve());
  ASSERT_NO_FATAL_FAILURE(change_binary());
  kill(old_, SIGUSR2);  // it has a successor
  EXPECT_TRUE(server_.logged(format("{}#{}: the changing binary signal is ignored", old_, old_)));
  kill(new_, SIGUSR2);  // it is one, and its parent is there
  EXPECT_TRUE(server_.logged(format("{}#{}: the changing binary signal is ignored", new_, new_)));
  EXPECT_EQ(server_.master(), new_);
  kill(old_, SIGQUIT);
  EXPECT_TRUE(RunningServer::gone(old_));
  old_ = new_;
  ASSERT_NO_FATAL_FAILURE(change_binary());  // now it may
  kill(old_, SIGQUIT);
  EXPECT_TRUE(only(new_));
}

// What an HTTP server replies to a request.
std::string http_says(const Addr& addr) {
  sockaddr_storage where;
  socklen_t size = addr.to_sockaddr(where);
  int client = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string text;
  std::string_view request = "GET / HTTP/1.0\r\n\r\n";
  if (connect(client, reinterpret_cast<sockaddr*>(&where), size) == 0) send(client, request.data(), request.size(), MSG_NOSIGNAL);
  char piece[1000];
  for (ssize_t got; (got = recv(client, piece, sizeof(piece), 0)) > 0;) text.append(piece, static_cast<size_t>(got));
  close(client);
  return text;
}

// nginx as the old binary: its file is replaced by ours, as a package does it.
TEST_F(Upgrade, ARunningNginxIsUpgradedInPlaceAndBack) {
  if (access("/usr/sbin/nginx", X_OK) != 0) GTEST_SKIP() << "no nginx here";
  six_ = tiny::free_port("::1");
  path_ = server_.folder + "sock";
  std::string listens = format("listen {};listen {};listen unix:{};", server_.ip.text(), six_.text(), path_);
  server_.write_conf(format("pid {0}pid; error_log {0}nginx.log notice; events {{}} worker_processes 1;"
                            "http {{ access_log off; client_body_temp_path {0}t1; proxy_temp_path {0}t2; fastcgi_temp_path {0}t3;"
                            "uwsgi_temp_path {0}t4; scgi_temp_path {0}t5; server {{ {1} return 200 nginx; }} }}", server_.folder, listens));
  ASSERT_TRUE(replace_file(server_.folder + "conf.tiny", server_.listen() + "listen " + six_.text() + "\nlisten unix:" + path_ + "\n"));
  std::string binary = server_.folder + "server", copy_nginx = "cp /usr/sbin/nginx " + binary;
  ASSERT_EQ(system(copy_nginx.c_str()), 0);
  ASSERT_EQ(RunningServer::status_of(server_.start({}, binary)), 0) << server_.output();
  old_ = eventually([&] { return server_.master(); });
  ASSERT_TRUE(http_says(server_.ip).ends_with("nginx"));  // before its workers are there, nginx would put USR2 off
  char self[4096];
  std::string own(self, static_cast<size_t>(readlink("/proc/self/exe", self, sizeof(self))));
  ASSERT_EQ(system(format("cp {} {}.new && mv {}.new {}", own, binary, binary, binary).c_str()), 0);

  ASSERT_NO_FATAL_FAILURE(change_binary());
  kill(old_, SIGWINCH);
  EXPECT_TRUE(only(new_));
  EXPECT_TRUE(all_answer());
  kill(old_, SIGHUP);  // back to nginx
  kill(new_, SIGQUIT);
  EXPECT_TRUE(eventually([&] { return server_.master() == old_; }));
  EXPECT_TRUE(server_.exists("sock"));
  EXPECT_TRUE(http_says(Addr::local(path_)).ends_with("nginx"));

  ASSERT_NO_FATAL_FAILURE(change_binary());  // and again, for good
  kill(old_, SIGQUIT);
  EXPECT_TRUE(RunningServer::gone(old_));
  EXPECT_TRUE(all_answer());
  EXPECT_EQ(server_.master(), new_);

  // From ours to nginx: the other direction of the same hand-over.
  ASSERT_EQ(system(format("cp /usr/sbin/nginx {}.new && mv {}.new {}", binary, binary, binary).c_str()), 0);
  old_ = new_;
  ASSERT_NO_FATAL_FAILURE(change_binary());
  kill(old_, SIGQUIT);
  EXPECT_TRUE(RunningServer::gone(old_));
  EXPECT_TRUE(server_.exists("sock"));
  EXPECT_TRUE(http_says(server_.ip).ends_with("nginx"));
  EXPECT_TRUE(http_says(six_).ends_with("nginx"));
  EXPECT_TRUE(http_says(Addr::local(path_)).ends_with("nginx"));
}

}  // namespace
}  // namespace fairlead

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "-p") return fairlead::tiny::server_main(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
