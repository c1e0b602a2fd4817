// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/master.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/process/channel.h"
#include "core/process/code_pages.h"
#include "core/process/generations.h"
#include "core/process/process.h"
#include "core/process/signals.h"
#include "core/process/title.h"
#include "core/process/workers.h"

namespace fairlead {
namespace {

constexpr uint64_t first_term_pause_ms = 50;  // doubled each time; once beyond the last, SIGKILL
#if defined(__SANITIZE_ADDRESS__)
constexpr uint64_t last_term_pause_ms = 4000;  // the look for leaks is part of a worker's end
#else
constexpr uint64_t last_term_pause_ms = 1000;
#endif
constexpr uint64_t ready_wait_ms = 100;   // for all new workers to serve before the old ones leave; then one is enough
constexpr uint64_t ready_look_ms = 10;    // how often to see whether they do, until it has been announced
constexpr uint64_t drain_wait_ms = 1000;  // at most, for the old ones to have stopped accepting before the caller hears of it

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text.append(" ").append(word);
  return text;
}

void log_start(const Logger& log) {
  log.notice("fairlead/{}", FAIRLEAD_VERSION);
  utsname system;
  if (uname(&system) == 0) log.notice("OS: {} {}", system.sysname, system.release);
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) log.notice("getrlimit(RLIMIT_NOFILE): {}:{}", files.rlim_cur, files.rlim_max);
}

// `master_process off`: the reloads and log files of a process that is its own worker.
class Alone final : public SingleProcess {
 public:
  explicit Alone(Generations& generations) : generations_(generations) {}

  Configuration* reload() override {
    generations_.log().notice("reconfiguring");
    if (!generations_.reload(0) || !generations_.accept_next()) return nullptr;
    generations_.finish_reload();
    return &generations_.current();
  }
  void release(Configuration& replaced) override { generations_.release(replaced); }
  void stop_listening() override { generations_.current().listeners().close_all(generations_.files_gone(), generations_.log()); }
  void reopen_logs() override {
    generations_.log().notice("reopening logs");
    generations_.reopen_logs();
  }
  void become_ready() override { generations_.become_ready(); }
  void begin_leave() override { generations_.begin_leave(); }
  uint64_t look_every_ms() override { return generations_.look_every_ms(); }
  Wish look() override { return generations_.look(); }

 private:
  Generations& generations_;
};

class Master {
 public:
  Master(Program& program, std::vector<std::string> arguments, InheritedSockets inherited)
      : program_(program),
        arguments_(std::move(arguments)),
        executable_(executable_path(arguments_[0])),
        generations_(program, std::move(inherited)) {}

  int run();

 private:
  // leaving: it serves as before, but has told everyone that it will not for long (shutdown_delay).
  enum class State : uint8_t { serving, leaving, quitting, terminating };

  bool start();
  int run_alone();
  int supervise();
  int leave();
  Logger log() { return generations_.log(); }

  void take_signals(int timeout_ms);
  void note(Signal signal);
  void act();
  int wait_ms();
  void announce_ready();
  void look_around();

  void start_workers();
  void fill_slots();
  void respawn(unsigned slot);
  bool spawn(const Generations::Alive& of, unsigned slot);
  [[noreturn]] void become_worker(const Generations::Alive& of, unsigned slot, int channel);
  void reap();
  void child_ended(pid_t pid, int status);
  void worker_ended(const WorkerChild& worker, int status);
  void new_binary_ended(pid_t pid, int status);

  void reload();
  bool is_reloading() const { return generations_.next() != nullptr; }
  void judge_reload();
  void replace_workers();
  void refuse_reload(std::string reason);
  void reopen();
  void upgrade();
  [[noreturn]] void become_new_binary();
  void stop_accepting();
  void leave_in_time();
  void quit();
  void terminate();
  bool serves() const { return state_ <= State::leaving; }
  void press_on();
  bool sole_owner() { return new_binary_ == 0 && generations_.sole_owner(); }
  FilesGone files_gone() { return new_binary_ == 0 ? generations_.files_gone() : FilesGone::none; }
  WorkerCommand farewell() { return sole_owner() ? WorkerCommand::leave : WorkerCommand::quit; }

  Program& program_;
  std::vector<std::string> arguments_;
  std::string executable_;  // as found at the start: later the file at that path is another one
  Generations generations_;
  WorkerTable workers_;
  Daemon daemon_;
  State state_ = State::serving;
  bool daemonized_ = false;
  bool not_accepting_ = false;  // after WINCH: slots stay empty
  pid_t new_binary_ = 0;
  bool announced_ = false;       // that the workers serve
  uint64_t start_end_ms_ = 0;    // of worker_start_timeout, while reloading
  uint64_t leave_at_ms_ = 0;     // while leaving
  uint64_t look_at_ms_ = 0;
  uint64_t term_pause_ms_ = 0;
  uint64_t term_again_ms_ = 0;

  // Signals that came and have not been acted upon.
  struct {
    bool child, terminate, quit, reload, reopen, upgrade, stop_accepting;
  } asked_ = {};
};

// ---- start and end

int Master::run() {
  clock().update();
  if (!start()) return 1;
  log_start(log());
  daemon_.ready();
  copy_log_to_console(false);
  if (!generations_.current().settings().master_process) return run_alone();
  set_process_title(format("fairlead: master process{}", joined(arguments_)));
  return supervise();
}

bool Master::start() {
  copy_log_to_console(true);
  generations_.note_parent(getppid());
  if (!generations_.start()) return false;
  // The successor of another binary is a child of that and already what it should be.
  daemonized_ = generations_.from_old_binary();
  if (generations_.current().settings().daemon && !daemonized_) {
    generations_.note_parent(getpid());
    auto detached = Daemon::detach();
    if (!detached) {
      log().emerg("{}", detached.error());
      return false;
    }
    daemon_ = *detached;
    daemonized_ = true;
  }
  return generations_.commit_start();
}

int Master::run_alone() {
  const ProcessSettings& settings = generations_.current().settings();
  replace_environment(filtered_environment(settings.environment, current_environment()));
  Alone alone(generations_);
  int status = program_.run_worker(generations_.current(), WorkerSlot{.single = &alone});
  generations_.current().listeners().close_all(files_gone(), log());
  generations_.remove_pid_file();
  log().notice("exit");
  return status;
}

int Master::supervise() {
  start_workers();
  for (;;) {
    release_code_pages();  // what comes next may be hours away
    take_signals(wait_ms());
    // Before a successor's end is seen, which would undo it: in the other order it would leave us without workers.
    if (!is_reloading() && std::exchange(asked_.stop_accepting, false) && state_ == State::serving) stop_accepting();
    if (asked_.child) reap();
    judge_reload();
    look_around();
    act();
    if (!serves() && workers_.empty()) return leave();
  }
}

int Master::leave() {
  generations_.remove_pid_file();
  generations_.current().listeners().close_all(files_gone(), log());
  log().notice("exit");
  return 0;
}

// ---- signals

int Master::wait_ms() {
  clock().update();
  uint64_t now = clock().now_ms(), next = UINT64_MAX;
  if (state_ == State::terminating) next = term_again_ms_;
  if (state_ == State::leaving) next = leave_at_ms_;
  if (serves()) {
    next = std::min(next, workers_.next_due_ms());
    bool awaits_ready = !announced_ && state_ == State::serving && workers_.any_starting(generations_.number());
    if (awaits_ready || is_reloading()) next = std::min(next, now + ready_look_ms);
    if (generations_.look_every_ms() != 0) next = std::min(next, look_at_ms_);
  }
  if (next == UINT64_MAX) return -1;
  return static_cast<int>(std::min<uint64_t>(std::max(next, now) - now, INT_MAX));
}

void Master::announce_ready() {
  if (announced_ || state_ != State::serving) return;
  if (workers_.count_ready(generations_.number()) < generations_.current().settings().slot_count()) return;
  announced_ = true;
  generations_.become_ready();
}

void Master::look_around() {
  if (!serves()) return;
  announce_ready();
  uint64_t every_ms = generations_.look_every_ms();
  if (every_ms == 0 || clock().now_ms() < look_at_ms_) return;
  look_at_ms_ = clock().now_ms() + every_ms;
  Wish wish = generations_.look();
  if (wish == Wish::quit) asked_.quit = asked_.quit || state_ == State::serving;
  if (wish == Wish::reload) asked_.reload = true;
}

void Master::take_signals(int timeout_ms) {
  auto signal = next_signal(timeout_ms);
  clock().update();
  for (; signal; signal = next_signal(0)) note(*signal);
}

void Master::note(Signal signal) {
  std::string_view action;
  switch (signal.number) {
    case SIGCHLD: asked_.child = true; break;
    case SIGTERM:
      // The first one only: who asks twice does not want to wait.
      if (generations_.current().settings().term_drains && state_ == State::serving && !asked_.quit) {
        asked_.quit = true;
        action = ", shutting down";
        break;
      }
      [[fallthrough]];
    case SIGINT:
      asked_.terminate = true;
      action = ", exiting";
      break;
    case SIGQUIT:
      asked_.quit = true;
      action = ", shutting down";
      break;
    case SIGHUP:
      asked_.reload = true;
      action = ", reconfiguring";
      break;
    case SIGUSR1:
      asked_.reopen = true;
      action = ", reopening logs";
      break;
    case SIGUSR2:
      asked_.upgrade = new_binary_ == 0 && !generations_.parent_is_there();
      action = asked_.upgrade ? ", changing binary" : ", ignoring";
      break;
    case SIGWINCH:
      // Without a daemon it is the terminal that changed its size.
      asked_.stop_accepting = daemonized_;
      action = daemonized_ ? ", stop accepting connections" : ", ignoring: not a daemon";
      break;
    default: break;
  }
  log_signal(log(), signal, action);
  if (signal.number != SIGUSR2 || asked_.upgrade) return;
  log().crit("the changing binary signal is ignored: you should shutdown or terminate before either old or new binary's process");
}

// One thing after the other, the end first: whoever ends does nothing else any more.
void Master::act() {
  if (std::exchange(asked_.terminate, false) && state_ != State::terminating) terminate();
  if (std::exchange(asked_.quit, false) && serves()) leave_in_time();
  if (state_ == State::leaving && clock().now_ms() >= leave_at_ms_) quit();
  if (state_ == State::terminating) press_on();
  if (!serves()) {
    asked_ = {};
    return;
  }
  if (std::exchange(asked_.reopen, false)) reopen();
  if (is_reloading() && state_ == State::leaving) refuse_reload("the server is leaving");
  bool leaves = state_ == State::leaving;
  if (!is_reloading() && std::exchange(asked_.reload, false) && !leaves) reload();
  if (!is_reloading() && std::exchange(asked_.upgrade, false) && !leaves) upgrade();
  for (unsigned slot : workers_.due(clock().now_ms())) {
    if (slot < generations_.current().settings().slot_count() && !workers_.serves(slot, generations_.number())) respawn(slot);
  }
}

// ---- workers

void Master::start_workers() {
  log().notice("start worker processes");
  fill_slots();
}

void Master::fill_slots() {
  workers_.forget_plans();
  for (unsigned slot = 0; slot < generations_.current().settings().slot_count(); ++slot) {
    if (!workers_.serves(slot, generations_.number())) respawn(slot);
  }
}

void Master::respawn(unsigned slot) {
  if (!spawn(generations_.in_use(), slot)) workers_.plan_respawn(slot, clock().now_ms() + RespawnPace::pause_max_ms);
}

// As the process list and the log name who fills the slot.
const char* name_of(const Generations::Alive& of, unsigned slot) {
  return of.configuration->settings().is_agent(slot) ? "privileged agent process" : "worker process";
}

// False is logged.
bool Master::spawn(const Generations::Alive& of, unsigned slot) {
  const char* what = name_of(of, slot);
  clock().update();
  // A reload sees to it beforehand; not so those who come back after another binary.
  if (workers_.size() >= live_workers_max) {
    log().alert("no more than {} workers can live while spawning \"{}\"", live_workers_max, what);
    return false;
  }
  auto ends = open_channel();
  if (!ends) {
    log().alert("{} while spawning \"{}\"", ends.error(), what);
    return false;
  }
  pid_t pid = fork();
  if (pid == 0) {
    close(ends->master);
    become_worker(of, slot, ends->worker);
  }
  int err = errno;
  close(ends->worker);
  if (pid < 0) {
    close(ends->master);
    log().alert(Errno{err}, "fork() failed while spawning \"{}\"", what);
    return false;
  }
  workers_.add({pid, slot, of.number, clock().now_ms(), ends->master, false});
  log().notice("start {} {}", what, pid);
  return true;
}

void Master::become_worker(const Generations::Alive& of, unsigned slot, int channel) {
  workers_.close_channels();
  set_process_title(format("fairlead: {}", name_of(of, slot)));
  Configuration& configuration = *of.configuration;
  const ProcessSettings& settings = configuration.settings();
  configuration.commit();
  bool is_agent = settings.is_agent(slot);
  if (is_agent) configuration.listeners().close_all(FilesGone::none, log());
  else configuration.listeners().keep_slot(slot);
  generations_.close_others(configuration);
  if (!enter_worker(settings, slot, Logger(configuration.log()))) exit(fatal_exit);
  exit(program_.run_worker(configuration, {slot, settings.worker_processes, of.number, channel, nullptr, is_agent}));
}

void Master::reap() {
  asked_.child = false;
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) child_ended(pid, status);
  generations_.retire([&](uint64_t number) { return workers_.any_of(number); });
}

void Master::child_ended(pid_t pid, int status) {
  if (pid == new_binary_) {
    new_binary_ended(pid, status);
    return;
  }
  if (auto worker = workers_.remove(pid)) {
    worker_ended(*worker, status);
    return;
  }
  // As process 1 of a container we inherit the orphans of others.
  log().notice("unknown process {} ended with status {}", pid, status);
}

void Master::worker_ended(const WorkerChild& worker, int status) {
  if (WIFSIGNALED(status)) {
    log().alert("worker process {} exited on signal {}{}", worker.pid, WTERMSIG(status), WCOREDUMP(status) ? " (core dumped)" : "");
  } else {
    log().notice("worker process {} exited with code {}", worker.pid, WEXITSTATUS(status));
  }
  program_.worker_exited(worker.slot, worker.pid, status);
  bool is_next = is_reloading() && worker.generation == generations_.next()->number;  // none is started again before the verdict
  if (!serves() || worker.leaving || !(is_next || worker.generation == generations_.number())) return;
  bool is_fatal = WIFEXITED(status) && WEXITSTATUS(status) == fatal_exit;
  if (is_fatal) log().alert("worker process {} exited with fatal code {} and cannot be respawned", worker.pid, fatal_exit);
  if (is_next || not_accepting_) return;
  uint64_t pause_ms = is_fatal ? 0 : workers_.pace(worker.slot).died(clock().now_ms() - worker.started_ms, worker.ready);
  // What asked us to end may have told our workers, too: after it the slot is filled only if we go
  // on serving for a while.
  bool is_end_asked = asked_.terminate || asked_.quit;
  if (pause_ms != 0 || (is_end_asked && !is_fatal)) workers_.plan_respawn(worker.slot, clock().now_ms() + pause_ms);
  else if (!is_fatal) respawn(worker.slot);
  if (is_end_asked) return;
  if (workers_.any_of(generations_.number(), generations_.current().settings().worker_processes)) return;
  announced_ = false;
  generations_.become_unready();
}

// ---- reload, log files

void Master::reload() {
  if (new_binary_ != 0) {  // a way back: our own workers, as they were
    not_accepting_ = false;
    start_workers();
    return;
  }
  log().notice("reconfiguring");
  if (!generations_.reload(workers_.size())) return;
  log().notice("start worker processes");
  const Generations::Alive& next = *generations_.next();
  for (unsigned slot = 0; slot < next.configuration->settings().slot_count() && spawn(next, slot); ++slot) continue;
  start_end_ms_ = clock().now_ms() + next.configuration->settings().start_timeout_ms;
  workers_.await(WorkerReport::ready, next.number, ready_wait_ms);
  judge_reload();
}

// Until a worker of the new configuration serves, those of the old one do, and are started again if they die.
void Master::judge_reload() {
  if (!is_reloading() || !serves()) return;
  uint64_t number = generations_.next()->number;
  unsigned serving_slots = generations_.next()->configuration->settings().worker_processes;  // not an agent's
  if (workers_.count_ready(number, serving_slots) != 0) return replace_workers();
  if (!workers_.any_of(number, serving_slots)) return refuse_reload("no worker process of the new configuration began to serve");
  if (clock().now_ms() < start_end_ms_) return;
  uint64_t waited_ms = generations_.next()->configuration->settings().start_timeout_ms;
  refuse_reload(format("no worker process of the new configuration began to serve within {} ms", waited_ms));
  workers_.kill_all(SIGKILL, number);  // they hear nothing
}

void Master::replace_workers() {
  uint64_t before = generations_.number(), refused = generations_.next()->number;
  if (!generations_.accept_next()) return workers_.tell(WorkerCommand::quit, SIGQUIT, refused);
  not_accepting_ = false;
  fill_slots();
  workers_.tell(WorkerCommand::quit, SIGQUIT, before);
  workers_.await(WorkerReport::drained, before, drain_wait_ms);
  generations_.finish_reload();
  announce_ready();
  generations_.retire([&](uint64_t number) { return workers_.any_of(number); });
}

void Master::refuse_reload(std::string reason) {
  workers_.tell(WorkerCommand::terminate, SIGTERM, generations_.next()->number);
  generations_.refuse_next(std::move(reason));
  generations_.retire([&](uint64_t number) { return workers_.any_of(number); });
}

void Master::reopen() {
  log().notice("reopening logs");
  generations_.reopen_logs();
  workers_.tell(WorkerCommand::reopen, SIGUSR1);
}

// ---- another binary

void Master::upgrade() {
  log().notice("changing binary");
  if (!generations_.give_way()) return;
  pid_t pid = fork();
  if (pid == 0) become_new_binary();
  if (pid < 0) {
    log().alert(Errno{errno}, "fork() failed while spawning \"new binary process\"");
    generations_.return_to_name();
    return;
  }
  new_binary_ = pid;
  log().notice("start new binary process {}", pid);
}

void Master::become_new_binary() {
  ListenSet& listeners = generations_.current().listeners();
  auto variables = filtered_environment(generations_.current().settings().environment, current_environment());
  variables.push_back("NGINX=" + listeners.descriptor_list());
  if (std::string list = listeners.activated_list(); !list.empty()) variables.push_back("FAIRLEAD_ACTIVATED=" + list);
  for (std::string& notice : generations_.notice_variables()) variables.push_back(std::move(notice));
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  std::vector<char*> arguments;
  for (std::string& argument : arguments_) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  listeners.keep_over_exec();
  release_signals();
  execve(executable_.c_str(), arguments.data(), environment.data());
  log().alert(Errno{errno}, "execve() failed while executing new binary process \"{}\"", executable_);
  _exit(1);
}

void Master::new_binary_ended(pid_t pid, int status) {
  if (WIFSIGNALED(status)) log().alert("new binary process {} exited on signal {}", pid, WTERMSIG(status));
  else log().notice("new binary process {} exited with code {}", pid, WEXITSTATUS(status));
  new_binary_ = 0;
  generations_.return_to_name();
  if (!serves()) return;
  generations_.current().listeners().steer_again(log());
  if (!not_accepting_) return;
  not_accepting_ = false;
  start_workers();
}

void Master::stop_accepting() {
  not_accepting_ = true;
  workers_.forget_plans();
  workers_.tell(farewell(), SIGQUIT);
}

// ---- the end

// At once if nobody would miss us: another binary serves, or no worker of ours does. Asked again, it does not wait any longer.
void Master::leave_in_time() {
  uint64_t delay_ms = generations_.current().settings().shutdown_delay_ms;
  if (delay_ms == 0 || state_ == State::leaving || not_accepting_ || !sole_owner()) return quit();
  state_ = State::leaving;
  leave_at_ms_ = clock().now_ms() + delay_ms;
  log().notice("leaving in {} ms", delay_ms);
  program_.announce_leave();
  generations_.begin_leave();
}

void Master::quit() {
  if (state_ != State::leaving) generations_.begin_leave();
  state_ = State::quitting;
  workers_.tell(farewell(), SIGQUIT);
  generations_.current().listeners().close_all(files_gone(), log());
}

void Master::terminate() {
  if (serves()) generations_.begin_leave();
  state_ = State::terminating;
  term_pause_ms_ = first_term_pause_ms;
  term_again_ms_ = clock().now_ms() + term_pause_ms_;
  workers_.tell(WorkerCommand::terminate, SIGTERM);
}

void Master::press_on() {
  if (clock().now_ms() < term_again_ms_) return;
  term_pause_ms_ *= 2;
  term_again_ms_ = clock().now_ms() + term_pause_ms_;
  workers_.kill_all(term_pause_ms_ > last_term_pause_ms ? SIGKILL : SIGTERM);
}

}  // namespace

int run_master(Program& program, std::vector<std::string> arguments, InheritedSockets inherited) {
  return Master(program, std::move(arguments), std::move(inherited)).run();
}

}  // namespace fairlead
