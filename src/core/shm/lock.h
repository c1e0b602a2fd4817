// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A lock between processes for short critical sections in shared memory. It records the holder's process id: when a worker dies with
// the lock, the master (or a waiter that sees the death) takes it over and marks what it protects as dirty; the next holder repairs
// before it goes on. Nothing waits for anything else while holding one: shm_locks_held() lets the event loop assert it. Not recursive.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>

namespace fairlead {

// In shared memory; zero bytes are a free lock. Use ShmLockGuard.
class ShmLock {
 public:
  // Waits: spins for about a microsecond, then sleeps in the kernel. True if what it protects is dirty (mark_clean() after repair).
  [[nodiscard]] bool lock();
  void unlock();
  // True if it was free; `dirty` as in lock().
  [[nodiscard]] bool try_lock(bool& dirty);

  // If `dead` (a process that has ended) holds the lock: mark dirty, free it, wake the waiters. True if it did.
  bool break_lock(pid_t dead);
  // For the holder, after the repair.
  void mark_clean();
  // The process that holds it, or 0. A hint unless it is the caller's.
  pid_t holder() const { return static_cast<pid_t>(word_.load(std::memory_order_relaxed) & ~waiting_bit); }

 private:
  static constexpr uint32_t waiting_bit = 1u << 31;  // somebody may sleep; process ids end well below
  void lock_slowly();
  void free_and_wake();

  std::atomic<uint32_t> word_{0};   // 0, or the holder's process id with waiting_bit
  std::atomic<uint32_t> dirty_{0};  // written by the holder only
};
static_assert(std::atomic<uint32_t>::is_always_lock_free);

// What to do with contents that a dead process left half changed. Called with the lock held; must leave them whole. Plain work only.
struct ShmRepair {
  void (*repair)(void* state) = nullptr;
  void* state = nullptr;
};

// Holds a lock for a scope in plain code (never across a co_await). The constructor runs the repair if the contents are dirty.
class [[nodiscard]] ShmLockGuard {
 public:
  // `repair.repair` must be set.
  ShmLockGuard(ShmLock& lock, ShmRepair repair);
  ~ShmLockGuard();
  ShmLockGuard(const ShmLockGuard&) = delete;
  ShmLockGuard& operator=(const ShmLockGuard&) = delete;

 private:
  ShmLock& lock_;
};

// How many guards this thread holds. Zero whenever it goes to wait.
int shm_locks_held();

}  // namespace fairlead
