// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Part of the composition root: what the master's two seams (core/process/master.h) are made of here: configurations that are generations
// with their listening sockets, and workers that run the loop with the engines on it.
#pragma once

#include <memory>
#include <vector>

#include "core/conf/generation.h"
#include "core/process/master.h"
#include "core/shm/worker_slots.h"

namespace fairlead {

namespace http {
struct ListenGroup;
}

// Numbers all modules of this program: the built-in ones and those linked in. Before anything is loaded.
ConfResult<Unit> assign_modules();

// Where messages go until a configuration says it: the compiled (or -e) error log, which so exists from the start, or nowhere; what an
// operator must see goes to standard error as well. The error says why it is nowhere.
ConfResult<Unit> open_start_log(const LoadRequest& request);

class LoadedConfiguration final : public Configuration {
 public:
  // Reads, checks, opens log files and attaches zones. Nothing that destroying it does not undo.
  // `alive` (may be null) names it as long as it lives; `inputs` (may be null): what was read, whatever comes of it;
  // `when_read`: called once the text is right, before anything is opened for it.
  static ConfResult<std::unique_ptr<LoadedConfiguration>> load(const LoadRequest& request, LoadedConfiguration* previous,
                                                               std::vector<LoadedConfiguration*>* alive, ConfInputs* inputs = nullptr,
                                                               void (*when_read)(const LoadRequest&) = nullptr);
  ~LoadedConfiguration() override;

  const ProcessSettings& settings() const override { return settings_; }
  ListenSet& listeners() override { return listeners_; }
  const Log& log() const override;
  void commit() override;
  void reopen_logs() override;
  void close_logs() override;
  // In a daemon: what is written to standard error from now on goes to the error log's file, as in nginx, or nowhere if that is none; so
  // the starter's terminal or pipe is let go. Left alone where the log is standard error itself.
  void settle_standard_error();

  Generation& generation() { return *generation_; }
  // The http group of a listener, by its index in the ListenSet.
  const http::ListenGroup& group(size_t index) const { return *groups_[index]; }

 private:
  std::unique_ptr<Generation> generation_;
  ProcessSettings settings_;
  ListenSet listeners_;
  std::vector<const http::ListenGroup*> groups_;
  std::vector<LoadedConfiguration*>* alive_ = nullptr;
};

class Server final : public Program {
 public:
  Server(LoadRequest request, WorkerSlots board) : request_(std::move(request)), board_(std::move(board)) {}
  ConfResult<std::unique_ptr<Configuration>> load(Configuration* previous) override;
  int run_worker(Configuration& configuration, const WorkerSlot& slot) override;
  void worker_exited(unsigned slot, pid_t pid, int status) override;
  const ConfInputs& inputs() const override { return inputs_; }
  void announce_leave() override { board_.announce_leave(); }

 private:
  LoadRequest request_;
  ConfInputs inputs_;
  WorkerSlots board_;
  std::vector<LoadedConfiguration*> alive_;
};

}  // namespace fairlead
