// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/master.h"

#include <gtest/gtest.h>

#include <set>

#include "t/unit/core/process/running_server.h"
#include "t/unit/core/process/tiny_server.h"

namespace fairlead {
namespace {

using tiny::ask;
using tiny::eventually;
using tiny::now_us;
using tiny::RunningServer;

std::string title_of(pid_t pid) {
  std::string text = read_small_file(format("/proc/{}/cmdline", pid)).value_or("");
  return text.substr(0, text.find('\0'));
}

bool stat_file(const std::string& path, struct stat& file) { return stat(path.c_str(), &file) == 0; }

TEST(Master, ServesAndEndsOnQuit) {
  RunningServer server;
  server.serve(server.listen());
  EXPECT_EQ(server.master(), server.started);
  auto answer = ask(server.ip);
  ASSERT_TRUE(answer);
  EXPECT_NE(answer.pid, server.started);
  EXPECT_EQ(title_of(answer.pid), "fairlead: worker process");
  EXPECT_TRUE(title_of(server.started).starts_with("fairlead: master process /")) << title_of(server.started);
  kill(server.started, SIGQUIT);
  EXPECT_EQ(RunningServer::status_of(server.started), 0);
  EXPECT_FALSE(server.exists("pid"));
  EXPECT_FALSE(server.exists("pid.status"));
  EXPECT_TRUE(server.logged("worker process " + std::to_string(answer.pid) + " exited with code 0"));
}

TEST(Master, DaemonReturnsWhenItServes) {
  RunningServer server;
  ASSERT_EQ(server.serve_as_daemon(server.listen()), 0) << server.output();
  pid_t master = server.master();
  ASSERT_GT(master, 0);  // complete at once: nothing is waited for
  EXPECT_TRUE(ask(server.ip));
  EXPECT_EQ(getsid(master), master);
  EXPECT_EQ(server.tell("stop"), 0);
  EXPECT_TRUE(RunningServer::gone(master));
  EXPECT_FALSE(server.exists("pid"));
}

TEST(Master, DaemonReportsAFailedStart) {
  RunningServer server;
  EXPECT_EQ(server.serve_as_daemon(server.listen() + "refuse unknown directive \"x\" in conf:3\n"), 1);
  EXPECT_NE(server.output().find("unknown directive \"x\" in conf:3"), std::string::npos) << server.output();
  EXPECT_FALSE(server.exists("pid"));
  EXPECT_EQ(server.serve_as_daemon(server.listen() + "listen unix:" + server.folder + "s\npid /nonexistent/pid\n"), 1);
  EXPECT_NE(server.output().find("open() \"/nonexistent/pid\" failed (2: No such file or directory)"), std::string::npos);
  EXPECT_FALSE(server.exists("s"));  // a socket file of a start that failed does not stay
}

TEST(Master, AnAddressInUseIsTriedFiveTimes) {
  RunningServer first, second;
  first.serve(first.listen());
  second.ip = first.ip;
  second.write_conf("daemon off\n" + second.listen());
  uint64_t began = now_us();
  EXPECT_EQ(RunningServer::status_of(second.start()), 1);
  EXPECT_GE(now_us() - began, 2'000'000u);
  std::string text = second.log();
  size_t tries = 0;
  for (size_t at = 0; (at = text.find("failed (98: Address already in use)", at)) != std::string::npos; ++at) ++tries;
  EXPECT_EQ(tries, 5u) << text;
  EXPECT_NE(text.find("still could not bind()"), std::string::npos);
  EXPECT_TRUE(ask(first.ip));
}

TEST(Master, ReloadReplacesTheWorkersAndReturnsTheVerdict) {
  RunningServer server;
  server.serve(server.listen() + "workers 2\n");
  auto before = eventually([&] { return ask(server.ip); });
  EXPECT_EQ(before.generation, 1u);
  EXPECT_EQ(server.tell("reload"), 0) << server.output();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(server.ip).generation, 2u);  // from the moment it returns
  EXPECT_TRUE(RunningServer::gone(before.pid));
  EXPECT_EQ(server.status().finished, 1u);
  EXPECT_EQ(server.status().generation, 2u);
}

TEST(Master, AFailedReloadKeepsTheOldGenerationAndSaysWhy) {
  RunningServer server;
  server.serve(server.listen());
  auto before = ask(server.ip);
  server.write_conf(server.listen() + "refuse unknown directive \"x\" in conf:2\n");
  EXPECT_EQ(server.tell("reload"), 1);
  EXPECT_NE(server.output().find("reload failed: unknown directive \"x\" in conf:2"), std::string::npos) << server.output();
  EXPECT_TRUE(server.logged("[emerg]"));
  // A failure behind the parser: an address that is not ours.
  server.write_conf(server.listen() + "listen 192.0.2.1:80\n");
  EXPECT_EQ(server.tell("reload"), 1);
  EXPECT_NE(server.output().find("bind() to 192.0.2.1:80 failed (99: Cannot assign requested address)"), std::string::npos);
  EXPECT_EQ(server.tell("reload", {"--no-wait"}), 0);
  EXPECT_TRUE(eventually([&] { return server.status().finished == 3; }));
  EXPECT_EQ(ask(server.ip).pid, before.pid);
  EXPECT_FALSE(server.status().ok);
  server.write_conf("daemon off\n" + server.listen());
  EXPECT_EQ(server.tell("reload"), 0);
  EXPECT_EQ(ask(server.ip).generation, 2u);
}

TEST(Master, AReloadWithoutRoomForItsWorkersIsRefused) {
  RunningServer server;
  server.serve(server.listen() + "workers 2\n");
  pid_t before = eventually([&] { return ask(server.ip); }).pid;
  server.write_conf(format("{}workers {}\n", server.listen(), live_workers_max - 1));
  EXPECT_EQ(server.tell("reload"), 1);
  EXPECT_NE(server.output().find("reload failed: there is no room for 1022 workers beside 2 that have not ended yet: at most 1023 in all"),
            std::string::npos) << server.output();
  EXPECT_EQ(ask(server.ip).generation, 1u);
  EXPECT_FALSE(RunningServer::gone(before, 0));
}

TEST(Master, ReloadOpensAndClosesAddresses) {
  RunningServer server;
  std::string path = server.folder + "sock";
  Addr unix_addr = Addr::local(path), six = tiny::free_port("::1");
  server.serve(server.listen());
  server.write_conf("listen unix:" + path + "\nlisten " + six.text() + "\n");
  EXPECT_EQ(server.tell("reload"), 0) << server.output();
  EXPECT_FALSE(ask(server.ip));
  EXPECT_TRUE(ask(unix_addr));
  EXPECT_TRUE(ask(six));
  struct stat file;
  ASSERT_EQ(stat(path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0666u);
  server.write_conf(server.listen());
  EXPECT_EQ(server.tell("reload"), 0);
  EXPECT_TRUE(ask(server.ip));
  EXPECT_FALSE(server.exists("sock"));
}

TEST(Master, ACrashedWorkerIsReplacedAtOnce) {
  RunningServer server;
  server.serve(server.listen());
  uint64_t best_us = UINT64_MAX;  // of some, because the machine may be busy
  for (int i = 0; i < 3 || (best_us >= 90'000u && i < 12); ++i) {
    if (i >= 3) poll(nullptr, 0, 1100);  // of workers that live for a moment only the sixth comes with a pause
    auto before = eventually([&] { return ask(server.ip); });
    kill(before.pid, SIGKILL);
    uint64_t began = now_us();
    auto after = ask(server.ip);  // waits in the backlog for the new worker
    best_us = std::min(best_us, now_us() - began);
    EXPECT_TRUE(after);
    EXPECT_NE(after.pid, before.pid);
    EXPECT_TRUE(server.logged(format("worker process {} exited on signal 9", before.pid)));
    EXPECT_TRUE(server.output().find(format("slot 0 lost {}", before.pid)) != std::string::npos || server.logged("slot 0 lost"));
  }
  EXPECT_LT(best_us, 90'000u);  // a pause would be 100 ms at least
  RecordProperty("respawn_us", static_cast<int>(best_us));
}

TEST(Master, ACrashLoopIsSlowedDown) {
  RunningServer server;
  server.serve(server.listen() + "exit 1\n");
  auto starts = [&] {
    size_t count = 0;
    std::string text = server.log();
    for (size_t at = 0; (at = text.find("start worker process ", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  uint64_t began = now_us();
  EXPECT_TRUE(eventually([&] { return starts() >= 6; }));
  poll(nullptr, 0, 1000);
  size_t count = starts();
  EXPECT_LE(count, 10u + (now_us() - began) / 1'000'000);  // 6 at once, then after 100, 200, 400, 800 ms and each second
}

TEST(Master, AFatalExitIsNotRepeated) {
  RunningServer server;
  server.serve(server.listen() + "folder /nonexistent\n");
  EXPECT_TRUE(server.logged("chdir(\"/nonexistent\") failed (2: No such file or directory)"));
  EXPECT_TRUE(server.logged("exited with fatal code 2 and cannot be respawned"));
  server.write_conf(server.listen());
  EXPECT_EQ(server.tell("reload"), 0);
  EXPECT_TRUE(ask(server.ip));
}

TEST(Master, AStuckWorkerIsKilled) {
  RunningServer server;
  server.serve(server.listen() + "stuck\n");
  auto worker = eventually([&] { return ask(server.ip); });
  uint64_t began = now_us();
  kill(server.started, SIGTERM);
  EXPECT_EQ(RunningServer::status_of(server.started), 0);
  uint64_t took_ms = (now_us() - began) / 1000;
  EXPECT_GE(took_ms, 1000u);
  EXPECT_LT(took_ms, 20'000u);
  EXPECT_LT(kill(worker.pid, 0), 0);
  EXPECT_NE(server.log().find("exited on signal 9"), std::string::npos);
}

TEST(Master, ReopensLogsInMasterAndWorkers) {
  RunningServer server;
  server.serve(server.listen());
  ASSERT_TRUE(eventually([&] { return ask(server.ip); }));
  rename((server.folder + "error.log").c_str(), (server.folder + "old.log").c_str());
  EXPECT_EQ(server.tell("reopen"), 0);
  EXPECT_TRUE(eventually([&] { return server.exists("error.log"); }));
  EXPECT_TRUE(eventually([&] { return server.read("old.log").find("reopening logs") != std::string::npos; }));
  kill(server.started, SIGALRM);  // means nothing, but is logged
  EXPECT_TRUE(server.logged("signal 14 (SIGALRM) received from"));
}

TEST(Master, WinchIsIgnoredWithoutADaemon) {
  RunningServer server;
  server.serve(server.listen());
  auto before = eventually([&] { return ask(server.ip); });
  kill(server.started, SIGWINCH);
  EXPECT_TRUE(server.logged("ignoring: not a daemon"));
  kill(server.started, SIGUSR2);
  EXPECT_TRUE(server.logged("the changing binary signal is ignored"));
  EXPECT_EQ(ask(server.ip).pid, before.pid);
}

TEST(Master, EnvironmentIsWhatTheDirectivesKeep) {
  RunningServer server;
  setenv("TINY_KEPT", "yes", 1);
  server.serve(server.listen());
  EXPECT_EQ(ask(server.ip).kept, "-");
  server.write_conf(server.listen() + "env TINY_KEPT\n");
  EXPECT_EQ(server.tell("reload"), 0);
  EXPECT_EQ(ask(server.ip).kept, "yes");
  unsetenv("TINY_KEPT");
}

TEST(Master, AWorkerIsWhatTheSettingsMakeOfIt) {
  if (geteuid() != 0) GTEST_SKIP() << "only root changes identity";
  RunningServer server;
  server.serve(server.listen() + "user nobody\npriority 3\nfiles 77\nfolder /\ntransparent yes\n");
  auto answer = eventually([&] { return ask(server.ip); });
  auto of_worker = [&](const char* name) { return read_small_file(format("/proc/{}/{}", answer.pid, name)).value_or(""); };
  auto identity = find_identity("nobody", "");
  std::string status = of_worker("status");
  EXPECT_NE(status.find(format("Uid:\t{0}\t{0}\t{0}\t{0}\n", identity->user)), std::string::npos) << status;
  EXPECT_NE(status.find(format("Gid:\t{0}\t{0}\t{0}\t{0}\n", identity->group)), std::string::npos) << status;
  EXPECT_NE(status.find(format("CapEff:\t{:016x}\n", 1u << 13)), std::string::npos) << status;  // CAP_NET_RAW
  EXPECT_NE(of_worker("limits").find("Max open files            77                   77"), std::string::npos);
  std::string stat = of_worker("stat");
  long nice_value = 0;
  std::string_view format_of_stat = ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %ld";
  sscanf(stat.c_str() + stat.rfind(')'), format_of_stat.data(), &nice_value);
  EXPECT_EQ(nice_value, 3);
  // The log is the worker's user's after a reopening.
  EXPECT_EQ(server.tell("reopen"), 0);
  EXPECT_TRUE(eventually([&] {
    struct stat file;
    return stat_file(server.folder + "error.log", file) && file.st_uid == identity->user;
  }));
  EXPECT_EQ(read_small_file(format("/proc/{}/status", server.started)).value_or("").find("Uid:\t0\t0\t0\t0\n") != std::string::npos, true);
}

TEST(Master, AloneItReloadsInPlace) {
  RunningServer server;
  server.serve(server.listen() + "master off\n");
  auto before = ask(server.ip);
  EXPECT_EQ(before.pid, server.started);
  EXPECT_EQ(server.tell("reload"), 0) << server.output();
  auto after = ask(server.ip);
  EXPECT_EQ(after.pid, server.started);
  EXPECT_EQ(after.generation, 2u);
  server.write_conf("refuse no\n");
  EXPECT_EQ(server.tell("reload"), 1);
  EXPECT_EQ(server.tell("quit"), 0);
  EXPECT_EQ(RunningServer::status_of(server.started), 0);
  EXPECT_FALSE(server.exists("pid"));
}

TEST(Master, FewerReuseportSocketsLoseNoConnection) {
  RunningServer server;
  std::string listen = "listen " + server.ip.text() + " reuseport\n";
  server.serve(listen + "workers 4\n");
  std::set<unsigned> slots;
  eventually([&] {
    slots.insert(ask(server.ip).slot);
    return slots.size() == 4;
  });
  EXPECT_EQ(slots.size(), 4u);
  server.write_conf(listen + "workers 2\n");
  pid_t client = server.start({"-s", "reload"});
  int unanswered = 0, asked = 0;
  for (int status; waitpid(client, &status, WNOHANG) == 0; ++asked) unanswered += !ask(server.ip);
  slots.clear();
  for (int i = 0; i < 100; ++i) {
    auto answer = ask(server.ip);
    unanswered += !answer;
    slots.insert(answer.slot);
  }
  EXPECT_EQ(unanswered, 0) << "of " << asked + 100;
  EXPECT_EQ(slots.size(), 2u);
  server.write_conf(listen + "workers 3\n");
  EXPECT_EQ(server.tell("reload"), 0);
  for (int i = 0; i < 100; ++i) slots.insert(ask(server.ip).slot);
  EXPECT_EQ(slots.size(), 3u);
}

TEST(Control, ErrorsAreWordedAsNginxWordsThem) {
  RunningServer server;
  auto said = [&](const std::string& text) { return server.output().find(text) != std::string::npos; };
  EXPECT_EQ(server.tell("stop"), 1);
  EXPECT_TRUE(said("open() \"" + server.folder + "pid\" failed (2: No such file or directory)"));
  for (std::string content : {"", "abc", " 12"}) {
    replace_file(server.folder + "pid", content + "\n");
    EXPECT_EQ(server.tell("stop"), 1);
    EXPECT_TRUE(said("invalid PID number \"" + content + "\" in \"" + server.folder + "pid\"")) << server.output();
  }
  replace_file(server.folder + "pid", "4194305\n");  // beyond the kernel's largest
  EXPECT_EQ(server.tell("stop"), 1);
  EXPECT_TRUE(said("kill(4194305, 15) failed (3: No such process)"));
  unlink((server.folder + "pid").c_str());
}

}  // namespace
}  // namespace fairlead

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "-p") return fairlead::tiny::server_main(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
