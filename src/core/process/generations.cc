// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/generations.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/format.h"

namespace fairlead {

Generations::Generations(Program& program, InheritedSockets inherited) : program_(program), inherited_(std::move(inherited)) {}

unsigned Generations::slots_of(const ProcessSettings& settings) const { return settings.master_process ? settings.worker_processes : 1; }

bool Generations::parent_is_there() const { return getppid() == parent_; }

bool Generations::start() {
  auto loaded = program_.load(nullptr);
  watch_.follow(program_.inputs());
  if (!loaded) {
    Logger().emerg("{}", loaded.error());
    return false;
  }
  std::unique_ptr<Configuration> first = std::move(*loaded);
  ListenPlan plan{.mode = ListenPlan::Mode::start, .workers = slots_of(first->settings()), .inherited = &inherited_};
  Logger log(first->log());
  auto opened = first->listeners().open(plan, log);
  if (!opened) {
    log.emerg("{}", opened.error());
    return false;
  }
  alive_.push_back({std::move(first), 1});
  return true;
}

bool Generations::commit_start() {
  pid_file_ = PidFile(current().settings().pid_path);
  status_.pid = getpid();
  auto created = pid_file_.create(status_);
  if (!created) {
    log().emerg("{}", created.error());
    return false;
  }
  current().listeners().commit(nullptr, FilesGone::none, log());
  current().commit();
  inherited_.close_unused();
  return true;
}

ConfResult<> Generations::load_next(size_t live) {
  auto loaded = program_.load(&current());
  watch_.follow(program_.inputs());
  if (!loaded) return std::move(loaded.error());
  return open_next(std::move(*loaded), live);
}

ConfResult<> Generations::open_next(std::unique_ptr<Configuration> next, size_t live) {
  FL_ASSERT(next->settings().master_process == current().settings().master_process);
  unsigned wanted = next->settings().slot_count();
  if (live + wanted > live_workers_max) {
    return format("there is no room for {} workers beside {} that have not ended yet: at most {} in all", wanted, live, live_workers_max);
  }
  ListenSet& before = current().listeners();
  ListenPlan plan{.mode = ListenPlan::Mode::reload, .workers = slots_of(next->settings()), .previous = &before};
  FL_TRY(next->listeners().open(plan, Logger(next->log())));
  if (next->settings().pid_path != pid_file_.path()) FL_TRY(PidFile(next->settings().pid_path).check());
  next_ = Alive{std::move(next), ++last_number_};
  return Unit();
}

bool Generations::reload(size_t live) {
  ++status_.started;
  notice_.reloading();
  pid_file_.write_status(status_, log());
  auto done = load_next(live);
  if (!done) tell_failure(done.error());
  return done.ok();
}

bool Generations::accept_next() {
  Configuration& next = *next_->configuration;
  auto moved = pid_file_.move(next.settings().pid_path, status_);
  if (!moved) {
    refuse_next(moved.error());
    return false;
  }
  next.listeners().commit(&current().listeners(), files_gone(), Logger(next.log()));
  next.commit();
  alive_.push_back(std::move(*next_));
  next_.reset();
  status_.ok = true;
  status_.generation = number();
  status_.reason.clear();
  return true;
}

void Generations::refuse_next(std::string reason) {
  // The next try may want the same addresses.
  next_->configuration->listeners().close_unshared(current().listeners(), FilesGone::of_opened, log());
  alive_.insert(alive_.begin(), std::move(*next_));
  next_.reset();
  tell_failure(std::move(reason));
}

void Generations::tell_failure(std::string reason) {
  log().emerg("{}", reason);
  status_.ok = false;
  status_.reason = std::move(reason);
  finish_reload();
}

void Generations::finish_reload() {
  status_.finished = status_.started;
  pid_file_.write_status(status_, log());
  notice_.ready(getpid());
}

void Generations::become_ready() {
  status_.state = ServerState::serving;
  pid_file_.write_status(status_, log());
  notice_.ready(getpid());
}

void Generations::become_unready() {
  if (status_.state != ServerState::serving) return;
  status_.state = ServerState::starting;
  pid_file_.write_status(status_, log());
}

void Generations::begin_leave() {
  if (gave_way_ || !sole_owner()) return;
  status_.state = ServerState::leaving;
  pid_file_.write_status(status_, log());
  notice_.stopping();
}

uint64_t Generations::look_every_ms() const {
  const ProcessSettings& settings = current().settings();
  uint64_t alive_ms = notice_.alive_every_ms();
  if (!settings.config_watch && !settings.quit_on_parent_exit) return alive_ms;
  return alive_ms == 0 ? ConfWatch::look_every_ms : std::min(alive_ms, ConfWatch::look_every_ms);
}

Wish Generations::look() {
  notice_.alive();
  const ProcessSettings& settings = current().settings();
  // The parent of an upgrade's successor was the binary before it, which is meant to end.
  if (settings.quit_on_parent_exit && !from_old_binary() && !parent_is_there()) {
    log().notice("the parent process has ended, shutting down");
    return Wish::quit;
  }
  if (!settings.config_watch || gave_way_ || !watch_.look()) return Wish::none;
  log().notice("the configuration has changed, reconfiguring");
  return Wish::reload;
}

void Generations::release(Configuration& replaced) {
  std::erase_if(alive_, [&](const Alive& one) { return one.configuration.get() == &replaced && one.number != number(); });
}

void Generations::close_others(Configuration& mine) {
  auto close = [&](Alive& one) {
    if (one.configuration.get() == &mine) return;
    one.configuration->listeners().close_unshared(mine.listeners(), FilesGone::none, Logger(mine.log()));
    one.configuration->close_logs();
  };
  std::for_each(alive_.begin(), alive_.end(), close);
  if (next_) close(*next_);
}

void Generations::reopen_logs() {
  for (Alive& one : alive_) one.configuration->reopen_logs();
  if (next_) next_->configuration->reopen_logs();
}

void Generations::return_to_name() {
  gave_way_ = false;
  pid_file_.return_to_name(log());
  pid_file_.write_status(status_, log());
  notice_.ready(getpid());
}

}  // namespace fairlead
