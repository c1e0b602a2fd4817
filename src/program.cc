// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Composition root: loading a configuration for the master, and the life of a worker process around the engines.
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "build_config.h"
#include "core/base/format.h"
#include "core/base/log_sinks.h"
#include "core/conf/error_log.h"
#include "core/conf/session_vars.h"
#include "core/process/channel.h"
#include "core/process/code_pages.h"
#include "core/process/process.h"
#include "core/process/conf.h"
#include "core/process/conf_watch.h"
#include "core/process/signals.h"
#include "core/process/title.h"
#include "core/upstream/peer_zone.h"
#include "core/upstream/group.h"
#include "event/dns/resolver_conf.h"
#include "event/events_conf.h"
#include "event/file/thread_pools.h"
#include "event/net/upstream_names.h"
#include "event/tls/engine.h"
#include "event/tls/hot.h"
#include "event/tls/objects.h"
#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/conf/files_conf.h"
#include "http/conf/http_block.h"
#include "http/conf/variables.h"
#include "http/forward/websocket.h"
#include "http/h2/conf.h"
#include "http/request/audit.h"
#include "http/request/gzip_rules.h"
#include "http/request/serve.h"
#include "module_list.h"

namespace fairlead {

namespace {

// Where there is no file: the copy for standard error still happens.
class NowhereSink final : public LogSink {
  void write(LogLevel, std::string_view) override {}
};

// Until a configuration has logs of its own; none that follows would open this again after a rename.
FileSink* start_log = nullptr;

}  // namespace

ConfResult<Unit> open_start_log(const LoadRequest& request) {
  default_log().clear();
  if (request.error_log_path == "stderr") {
    default_log().add(standard_error(), LogLevel::notice);
    return Unit();
  }
  start_log = new FileSink(request.error_log_path);  // never destroyed at exit, like default_log()
  auto opened = start_log->open();
  static NowhereSink nowhere;
  default_log().add(opened ? static_cast<LogSink&>(*start_log) : nowhere, LogLevel::notice);
  return opened;
}

ConfResult<Unit> assign_modules() {
  std::vector<const Module*> all = {&error_log_module,
                                    &process_module,
                                    &events_module,
                                    &thread_pools_module,
                                    &upstream_module,
                                    &resolver_module,
                                    &upstream_names_module,
                                    &tls_engine_module,
                                    &tls_objects_module,
                                    &tls_hot_module,
                                    &session_variables_module,
                                    &http::http_blocks_module,
                                    &http::http_audit_module,
                                    &http::http_core_module,
                                    &http::http_files_module,
                                    &http::http_gzip_rules_module,
                                    &http::h2::http_v2_module,
                                    &http::http_request_variables_module,
                                    &http::http_connection_variables_module,
                                    &http::http_upstream_variables_module,
                                    &http::websocket_module};
  for (const Module* module : linked_modules) all.push_back(module);
  return modules().assign(std::move(all));
}

ConfResult<std::unique_ptr<LoadedConfiguration>> LoadedConfiguration::load(const LoadRequest& request, LoadedConfiguration* previous,
                                                                           std::vector<LoadedConfiguration*>* alive,
                                                                           ConfInputs* inputs, void (*when_read)(const LoadRequest&)) {
  Generation* before = previous ? previous->generation_.get() : nullptr;
  auto made = std::make_unique<LoadedConfiguration>();
  auto generation = Generation::load(request, before, inputs);
  if (!generation) return std::move(generation.error());
  made->generation_ = std::move(*generation);
  if (when_read) when_read(request);
  Generation& g = *made->generation_;
  if (!conf<EventsConf>(g.root()).is_present) return std::string("no \"events\" section in configuration");
  auto settings = process_settings(g, build_config::user, build_config::below_prefix(build_config::pid_path));
  if (!settings) return std::move(settings.error());
  made->settings_ = std::move(*settings);
  if (request.test_only) made->settings_.worker_processes = 1;
  FL_TRY(g.open_logs());
  for (std::string_view folder : g.folders()) FL_TRY(make_folder(folder, made->settings_.user));
  FL_TRY(g.zones.attach(before ? &before->zones : nullptr));
  if (g.metrics) FL_TRY(g.metrics->open());
  FL_TRY(attach_peer_zones(g));
  FL_TRY(g.make_ready());
  made->settings_.privileged_agent = conf<ProcessConf>(g.root()).settings.privileged_agent;  // known when the modules are ready
  if (http::HttpBlock* http = http::http_block_of(g)) {
    for (auto& group : http->listens.groups) {
      made->listeners_.add(group->own->spec);
      made->groups_.push_back(group.get());
    }
  }
  // As in nginx, where each of them takes one of those.
  uint64_t connections = conf<EventsConf>(g.root()).worker_connections;
  size_t sockets = made->listeners_.listeners().size();
  if (connections <= sockets) return format("{} worker_connections are not enough for {} listening sockets", connections, sockets);
  made->alive_ = alive;
  if (alive) alive->push_back(made.get());
  return made;
}

LoadedConfiguration::~LoadedConfiguration() {
  if (alive_) std::erase(*alive_, this);
}

const Log& LoadedConfiguration::log() const { return *conf<ErrorLogConf>(generation_->root()).log; }

void LoadedConfiguration::commit() {
  default_log() = log();
  delete std::exchange(start_log, nullptr);
  settle_standard_error();
}

void LoadedConfiguration::settle_standard_error() {
  if (!settings_.daemon || log().writes_to(standard_error())) return;
  int fd = -1;
  for (FileSink* file : generation_->log_files()) {
    if (fd < 0 && log().writes_to(*file)) fd = file->descriptor();
  }
  bool is_nowhere = fd < 0;
  if (is_nowhere) fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (fd < 0 || dup2(fd, STDERR_FILENO) < 0) Logger(log()).alert(Errno{errno}, "standard error could not be replaced");
  if (is_nowhere && fd >= 0) close(fd);
}

void LoadedConfiguration::reopen_logs() {
  for (FileSink* file : generation_->log_files()) reopen_log_file(*file, settings_.user, Logger(log()));
  settle_standard_error();
}

// What still refers to one of them writes to nowhere, not to a file that has its number by then.
void LoadedConfiguration::close_logs() {
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  for (FileSink* file : generation_->log_files()) {
    if (nowhere >= 0 && file->descriptor() >= 0) dup3(nowhere, file->descriptor(), O_CLOEXEC);
  }
  if (nowhere >= 0) close(nowhere);
}

ConfResult<std::unique_ptr<Configuration>> Server::load(Configuration* previous) {
  auto loaded = LoadedConfiguration::load(request_, static_cast<LoadedConfiguration*>(previous), &alive_, &inputs_);
  if (!loaded) return std::move(loaded.error());
  return std::unique_ptr<Configuration>(std::move(*loaded));
}

void Server::worker_exited(unsigned, pid_t pid, int) {
  BoardSlot slot = board_.find(pid);
  for (LoadedConfiguration* each : alive_) each->generation().zones.break_locks(pid);
  for (LoadedConfiguration* each : alive_) each->generation().zones.forget_process(pid);
  if (slot == no_slot) return;
  for (LoadedConfiguration* each : alive_) {
    forget_peer_zones(each->generation(), slot);
    if (Metrics* metrics = each->generation().metrics.get()) metrics->reset_gauges(slot);
  }
  board_.release(slot);
}

namespace {

// The row of this process on the board of all.
struct BoardPlace {
  WorkerSlots& board;
  BoardSlot slot;
};

// One configuration at work in this process.
class Serving {
 public:
  Serving(Loop& loop, LoadedConfiguration& configuration, const WorkerSlot& slot, BoardPlace place)
      : configuration_(configuration), worker_(loop, configuration.generation(), place.board.row(place.slot)), slot_(slot) {
    worker_.use_board(place.board);
    worker_.use_index(slot.index);
    if (Metrics* metrics = configuration.generation().metrics.get()) metrics->use_slot(place.slot);
  }

  void start() {
    if (!slot_.is_agent) listen();
    worker_.start_modules();
  }
  ~Serving() { worker_.stop_modules(); }
  Worker& worker() { return worker_; }
  LoadedConfiguration& configuration() { return configuration_; }

 private:
  void listen() {
    ListenSet& sockets = configuration_.listeners();
    for (size_t i = 0; i < sockets.listeners().size(); ++i) {
      servers_.push_back(std::make_unique<http::HttpServer>(worker_, configuration_.group(i)));
      worker_.listen(sockets.listeners()[i].descriptor(slot_.index), *servers_.back());
    }
    if (slot_.index == 0) {
      for (const auto& retired : sockets.retired()) listen_retired(*retired);
    }
  }

  // A socket of a slot that is gone: what waits in its backlog is still served.
  void listen_retired(const ListenSocket& retired) {
    for (size_t i = 0; i < configuration_.listeners().listeners().size(); ++i) {
      if (!(configuration_.listeners().listeners()[i].spec.addr == retired.addr())) continue;
      servers_.push_back(std::make_unique<http::HttpServer>(worker_, configuration_.group(i)));
      worker_.listen(retired.descriptor(), *servers_.back());
    }
  }

  LoadedConfiguration& configuration_;
  std::vector<std::unique_ptr<http::HttpServer>> servers_;
  Worker worker_;
  const WorkerSlot& slot_;
};

// A serving process: its loop, its signals, the configurations at work (one, or in a single process the replaced ones until they are
// drained).
class WorkerProcess {
 public:
  WorkerProcess(Loop& loop, const WorkerSlot& slot, BoardPlace place)
      : loop_(loop), slot_(slot), place_(place), drained_(this), signals_(this), commands_(this), look_(this), leave_(this) {}
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  int run(LoadedConfiguration& first);

 private:
  template <void (WorkerProcess::*Method)()>
  struct Call : Resumable {
    explicit Call(WorkerProcess* of) : Resumable([](Resumable& r) { (static_cast<Call&>(r).process->*Method)(); }), process(of) {}
    WorkerProcess* process;
  };
  template <void (WorkerProcess::*Method)()>
  struct Later : Timer {
    explicit Later(WorkerProcess* of) : Timer([](Timer& t) { (static_cast<Later&>(t).process->*Method)(); }), process(of) {}
    WorkerProcess* process;
  };
  enum class TermMeaning : uint8_t { exit, drain, nothing };
  bool hear(const Logger& log);
  void start(LoadedConfiguration& configuration);
  void on_drained();
  void on_signals();
  void on_commands();
  void on_signal(int number, pid_t sender);
  TermMeaning term_meaning(pid_t sender) const;
  std::string_view effect_of(int signal, pid_t sender) const;
  void on_term(pid_t sender);
  void look_around();
  void leave_in_time();
  void leave();
  void drain(bool has_successor);
  void reload();
  void reopen();

  Loop& loop_;
  const WorkerSlot& slot_;
  BoardPlace place_;
  std::vector<std::unique_ptr<Serving>> serving_;  // the newest last
  Watch* signal_watch_ = nullptr;
  Watch* channel_watch_ = nullptr;
  bool leaving_ = false;
  bool is_end_announced_ = false;  // single process: leave_ is armed
  Call<&WorkerProcess::on_drained> drained_;
  Call<&WorkerProcess::on_signals> signals_;
  Call<&WorkerProcess::on_commands> commands_;
  Later<&WorkerProcess::look_around> look_;
  Later<&WorkerProcess::leave> leave_;
};

WorkerProcess::~WorkerProcess() {
  if (channel_watch_) loop_.unwatch(channel_watch_, true);
  if (!signal_watch_) return;
  int signals = signal_watch_->fd();
  loop_.unwatch(signal_watch_);
  close(signals);
}

// False: nobody could end this process in order, and the log says why.
bool WorkerProcess::hear(const Logger& log) {
  int signals = signalfd(-1, &process_signals(), SFD_NONBLOCK | SFD_CLOEXEC);
  if (signals < 0) {
    log.emerg(Errno{errno}, "signalfd() failed");
    return false;
  }
  auto watch = loop_.watch(signals, PollMode::level_read);
  if (!watch) {
    log.emerg(Errno{watch.error().sys}, "{}", watch.error().what);
    close(signals);
    return false;
  }
  signal_watch_ = *watch;
  signal_watch_->alert(&signals_, true);
  if (slot_.channel < 0) return true;
  auto channel = loop_.watch(slot_.channel, PollMode::level_read);
  if (!channel) {
    log.emerg(Errno{channel.error().sys}, "{}", channel.error().what);
    return false;
  }
  channel_watch_ = *channel;
  channel_watch_->alert(&commands_, true);
  return true;
}

int WorkerProcess::run(LoadedConfiguration& first) {
  if (!hear(Logger(first.log()))) return fatal_exit;
  start(first);
  if (slot_.channel >= 0) report(slot_.channel, WorkerReport::ready);
  if (slot_.single) slot_.single->become_ready();
  look_around();
  release_code_pages();
  loop_.run();
  // A process of its own has other configurations by now, and a master's words.
  if (!slot_.single) Logger(first.log()).notice("exiting");
  look_.disarm();
  leave_.disarm();
  serving_.clear();
  if (!slot_.single) Logger(first.log()).notice("exit");
  return 0;
}

void WorkerProcess::start(LoadedConfiguration& configuration) {
  serving_.push_back(std::make_unique<Serving>(loop_, configuration, slot_, place_));
  place_.board.row(place_.slot).state.store(WorkerState::serving, std::memory_order_relaxed);
  serving_.back()->start();
}

// Some worker has nothing left. The newest is only among them when the process leaves.
void WorkerProcess::on_drained() {
  if (leaving_) {
    if (std::all_of(serving_.begin(), serving_.end(), [](auto& each) { return each->worker().is_drained(); })) loop_.stop();
    return;
  }
  for (size_t i = 0; i + 1 < serving_.size();) {
    if (!serving_[i]->worker().is_drained()) {
      ++i;
      continue;
    }
    LoadedConfiguration& replaced = serving_[i]->configuration();
    serving_.erase(serving_.begin() + static_cast<ptrdiff_t>(i));
    slot_.single->release(replaced);
  }
}

void WorkerProcess::drain(bool has_successor) {
  if (!has_successor) {
    for (auto& serving : serving_) serving->worker().lose_successor();  // told before that there is one: by a signal, by a reload
  }
  if (leaving_) return;
  leaving_ = true;
  std::string_view what = slot_.is_agent ? "privileged agent" : "worker";
  if (!slot_.single) set_process_title(format("fairlead: {} process is shutting down", what));
  Serving& last = *serving_.back();
  Logger(last.configuration().log()).notice("gracefully shutting down");
  uint64_t timeout_ms = conf<ProcessConf>(last.configuration().generation().root()).shutdown_timeout;
  last.worker().drain(has_successor, timeout_ms, drained_);
  // An open socket would go on taking connections that nobody accepts.
  if (slot_.single) slot_.single->stop_listening();
  else last.configuration().listeners().close_all(FilesGone::none, Logger(last.configuration().log()));
  if (slot_.channel >= 0) report(slot_.channel, WorkerReport::drained);
}

// Not by one that leaves: its end is announced, and a new configuration would serve on.
void WorkerProcess::reload() {
  if (leaving_ || is_end_announced_) return;
  Configuration* next = slot_.single->reload();
  if (!next) return;
  Serving& old = *serving_.back();
  uint64_t timeout_ms = conf<ProcessConf>(old.configuration().generation().root()).shutdown_timeout;
  // The order matters: both listen on the same descriptors, and a loop watches a descriptor once.
  old.worker().drain(true, timeout_ms, drained_);
  start(*static_cast<LoadedConfiguration*>(next));
}

void WorkerProcess::reopen() {
  for (auto& serving : serving_) {
    if (!slot_.single) {
      serving->configuration().generation().reopen_logs();
      serving->configuration().settle_standard_error();
    }
    serving->worker().reopen_modules();
  }
}

// In a process of its own it does what a master would do about the world around it.
void WorkerProcess::look_around() {
  if (!slot_.single || leaving_ || is_end_announced_) return;
  Wish wish = slot_.single->look_every_ms() != 0 ? slot_.single->look() : Wish::none;
  if (wish == Wish::reload) reload();
  if (wish == Wish::quit) leave_in_time();
  if (uint64_t every_ms = slot_.single->look_every_ms(); every_ms != 0 && !look_.armed()) loop_.arm(look_, every_ms);
}

// A process of its own waits for its shutdown_delay before it drains; asked again, it waits no longer.
void WorkerProcess::leave_in_time() {
  uint64_t delay_ms = serving_.back()->configuration().settings().shutdown_delay_ms;
  if (delay_ms == 0 || is_end_announced_) return leave();
  is_end_announced_ = true;
  Logger(serving_.back()->configuration().log()).notice("leaving in {} ms", delay_ms);
  place_.board.announce_leave();
  slot_.single->begin_leave();
  loop_.arm(leave_, delay_ms);
}

void WorkerProcess::leave() {
  if (!is_end_announced_) slot_.single->begin_leave();
  drain(false);
}

// term_action drain is the master's business: it knows about its delay and speaks to its workers by the channel or a TERM of its own. A
// TERM that went to the whole process group means nothing to a worker, then.
WorkerProcess::TermMeaning WorkerProcess::term_meaning(pid_t sender) const {
  if (!serving_.back()->configuration().settings().term_drains) return TermMeaning::exit;
  if (!slot_.single) return sender == getppid() ? TermMeaning::exit : TermMeaning::nothing;
  return is_end_announced_ || leaving_ ? TermMeaning::exit : TermMeaning::drain;
}

void WorkerProcess::on_term(pid_t sender) {
  switch (term_meaning(sender)) {
    case TermMeaning::exit: return loop_.stop();
    case TermMeaning::drain: return leave_in_time();
    case TermMeaning::nothing: return;
  }
}

void WorkerProcess::on_signal(int number, pid_t sender) {
  switch (number) {
    case SIGTERM: on_term(sender); break;
    case SIGINT: loop_.stop(); break;
    case SIGQUIT:
      if (slot_.single) leave_in_time();
      else drain(true);
      break;
    case SIGUSR1:
      if (slot_.single) slot_.single->reopen_logs();
      reopen();
      break;
    case SIGHUP:
      if (slot_.single) reload();
      look_around();
      break;
    default: break;
  }
}

// In the words of the log; asked before the signal is obeyed.
std::string_view WorkerProcess::effect_of(int signal, pid_t sender) const {
  constexpr std::string_view exiting = ", exiting", shutting_down = ", shutting down";
  switch (signal) {
    case SIGTERM: {
      TermMeaning meaning = term_meaning(sender);
      if (meaning == TermMeaning::nothing) return ", ignoring";
      return meaning == TermMeaning::exit ? exiting : shutting_down;
    }
    case SIGINT: return exiting;
    case SIGQUIT: return shutting_down;
    case SIGUSR1: return ", reopening logs";
    default: return {};
  }
}

void WorkerProcess::on_signals() {
  signalfd_siginfo received;
  while (read(signal_watch_->fd(), &received, sizeof received) == sizeof received) {
    int number = static_cast<int>(received.ssi_signo);
    pid_t sender = static_cast<pid_t>(received.ssi_pid);
    if (number != SIGCHLD && number != SIGALRM) {
      const Logger log(serving_.back()->configuration().log());
      log_signal(log, Signal{number, sender}, effect_of(number, sender));
    }
    on_signal(number, sender);
  }
}

void WorkerProcess::on_commands() {
  bool closed = false;
  while (auto command = receive_command(channel_watch_->fd(), closed)) {
    switch (*command) {
      case WorkerCommand::quit: drain(true); break;
      case WorkerCommand::leave: drain(false); break;
      case WorkerCommand::terminate: loop_.stop(); break;
      case WorkerCommand::reopen: reopen(); break;
    }
  }
  if (closed) {  // the master is gone without a word: nobody would replace or stop this worker
    channel_watch_->alert(nullptr);
    loop_.unwatch(channel_watch_, true);
    channel_watch_ = nullptr;
    drain(false);
  }
}

}  // namespace

int Server::run_worker(Configuration& configuration, const WorkerSlot& slot) {
  auto& loaded = static_cast<LoadedConfiguration&>(configuration);
  copy_log_to_console(false);
  const EventsConf& events = conf<EventsConf>(loaded.generation().root());
  auto loop = Loop::open(events.use.empty() ? nullptr : std::string(events.use).c_str());
  if (!loop) {
    Logger(loaded.log()).emerg(Errno{loop.error().sys}, "{}", loop.error().what);
    return fatal_exit;
  }
  uint32_t generation = slot.is_agent ? 0 : static_cast<uint32_t>(slot.generation);
  BoardSlot place = slot.single ? master_slot : board_.claim(generation, getpid());
  if (place == no_slot) {  // only while others come and go: the master starts no more workers than there are slots
    Logger(loaded.log()).alert("no free slot among {}", worker_slots_max);
    return 1;
  }
  join_peer_zones(loaded.generation(), place);
  WorkerProcess process(**loop, slot, BoardPlace{board_, place});
  return process.run(loaded);
}

}  // namespace fairlead
