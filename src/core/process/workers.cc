// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/workers.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/clock.h"

namespace fairlead {

uint64_t RespawnPace::died(uint64_t lived_ms, bool had_served) {
  if (lived_ms >= quick_death_ms) {
    quick_deaths_ = 0;
    return 0;
  }
  ++quick_deaths_;
  if (quick_deaths_ <= free_deaths) return 0;
  if (had_served) return pause_after_service_ms;
  unsigned doublings = std::min(quick_deaths_ - free_deaths - 1, 10u);
  return std::min(pause_min_ms << doublings, pause_max_ms);
}

static void hear(WorkerChild& worker) {
  bool closed = false;
  while (auto said = receive_report(worker.channel, closed)) worker.ready = worker.ready || *said == WorkerReport::ready;
}

std::optional<WorkerChild> WorkerTable::remove(pid_t pid) {
  auto found = std::find_if(workers_.begin(), workers_.end(), [&](const WorkerChild& worker) { return worker.pid == pid; });
  if (found == workers_.end()) return std::nullopt;
  hear(*found);
  WorkerChild worker = *found;
  if (worker.channel >= 0) close(worker.channel);
  worker.channel = -1;
  workers_.erase(found);
  return worker;
}

void WorkerTable::close_channels() {
  for (WorkerChild& worker : workers_) {
    if (worker.channel >= 0) close(worker.channel);
  }
  workers_.clear();
}

bool WorkerTable::any_of(uint64_t generation, unsigned slots) const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [&](const WorkerChild& worker) { return worker.generation == generation && worker.slot < slots; });
}

bool WorkerTable::serves(unsigned slot, uint64_t generation) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const WorkerChild& worker) {
    return worker.slot == slot && worker.generation == generation && !worker.leaving;
  });
}

void WorkerTable::tell(WorkerCommand command, int signal, uint64_t generation) {
  for (WorkerChild& worker : workers_) {
    if (generation != 0 && worker.generation != generation) continue;
    if (command != WorkerCommand::reopen) worker.leaving = true;
    if (!send_command(worker.channel, command)) kill(worker.pid, signal);
  }
}

void WorkerTable::kill_all(int signal, uint64_t generation) {
  for (const WorkerChild& worker : workers_) {
    if (generation == 0 || worker.generation == generation) kill(worker.pid, signal);
  }
}

void WorkerTable::await(WorkerReport report, uint64_t generation, uint64_t limit_ms) {
  std::vector<pollfd> waiting;
  for (const WorkerChild& worker : workers_) {
    if (worker.generation == generation && worker.channel >= 0) waiting.push_back({worker.channel, POLLIN, 0});
  }
  clock().update();
  uint64_t end_ms = clock().now_ms() + limit_ms;
  while (!waiting.empty() && clock().now_ms() < end_ms) {
    poll(waiting.data(), waiting.size(), static_cast<int>(end_ms - clock().now_ms()));
    std::erase_if(waiting, [&](const pollfd& one) {
      bool closed = false;
      while (one.revents != 0) {
        auto got = receive_report(one.fd, closed);
        if (!got) break;
        if (*got == WorkerReport::ready) mark_ready(one.fd);
        if (*got == report) return true;
      }
      return closed;
    });
    clock().update();
  }
}

void WorkerTable::mark_ready(int channel) {
  for (WorkerChild& worker : workers_) worker.ready = worker.ready || worker.channel == channel;
}

unsigned WorkerTable::count_ready(uint64_t generation, unsigned slots) {
  unsigned ready = 0;
  for (WorkerChild& worker : workers_) {
    if (worker.generation != generation || worker.channel < 0) continue;
    hear(worker);
    ready += worker.ready && worker.slot < slots;
  }
  return ready;
}

bool WorkerTable::any_starting(uint64_t generation) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const WorkerChild& worker) {
    return worker.generation == generation && worker.channel >= 0 && !worker.ready && !worker.leaving;
  });
}

void WorkerTable::plan_respawn(unsigned slot, uint64_t at_ms) { plans_.push_back({slot, at_ms}); }

std::vector<unsigned> WorkerTable::due(uint64_t now_ms) {
  std::vector<unsigned> slots;
  std::erase_if(plans_, [&](const Plan& plan) {
    if (plan.at_ms > now_ms) return false;
    slots.push_back(plan.slot);
    return true;
  });
  return slots;
}

uint64_t WorkerTable::next_due_ms() const {
  uint64_t next = UINT64_MAX;
  for (const Plan& plan : plans_) next = std::min(next, plan.at_ms);
  return next;
}

RespawnPace& WorkerTable::pace(unsigned slot) {
  if (slot >= paces_.size()) paces_.resize(slot + 1);
  return paces_[slot];
}

}  // namespace fairlead
