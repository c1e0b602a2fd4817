// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/lock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#include "core/base/error.h"

namespace fairlead {
namespace {

constexpr int spins_max = 100;
constexpr long sleep_ns = 20'000'000;  // then the waiter looks whether the holder is alive

thread_local int locks_held = 0;

// getpid() is a system call; the answer changes only at fork.
std::atomic<uint32_t> cached_process_id{0};

uint32_t process_id() {
  uint32_t id = cached_process_id.load(std::memory_order_relaxed);
  if (__builtin_expect(id != 0, 1)) return id;
  static const int registered = pthread_atfork(nullptr, nullptr, [] { cached_process_id.store(0, std::memory_order_relaxed); });
  FL_ASSERT(registered == 0);
  id = static_cast<uint32_t>(getpid());
  cached_process_id.store(id, std::memory_order_relaxed);
  return id;
}

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns when woken, when `word` is not `seen`, or after sleep_ns.
void sleep_on(std::atomic<uint32_t>& word, uint32_t seen) {
  timespec timeout = {0, sleep_ns};
#ifdef __linux__
  syscall(SYS_futex, &word, FUTEX_WAIT, seen, &timeout, nullptr, 0);  // between processes, so not FUTEX_PRIVATE
#else
  timeout.tv_nsec = 50'000;
  if (word.load(std::memory_order_relaxed) == seen) nanosleep(&timeout, nullptr);
#endif
}

void wake_sleepers([[maybe_unused]] std::atomic<uint32_t>& word, [[maybe_unused]] int most) {
#ifdef __linux__
  syscall(SYS_futex, &word, FUTEX_WAKE, most, nullptr, nullptr, 0);
#endif
}

// Only the parent sees that a child has ended before it is reaped; the others wait until the parent breaks the lock or reaps.
bool has_ended(pid_t process) {
  siginfo_t status = {};
  if (waitid(P_PID, static_cast<id_t>(process), &status, WEXITED | WNOHANG | WNOWAIT) == 0) return status.si_pid == process;
  return kill(process, 0) != 0 && errno == ESRCH;
}

}  // namespace

int shm_locks_held() { return locks_held; }

bool ShmLock::try_lock(bool& dirty) {
  uint32_t expected = 0;
  if (!word_.compare_exchange_strong(expected, process_id(), std::memory_order_acquire, std::memory_order_relaxed)) return false;
  dirty = dirty_.load(std::memory_order_relaxed) != 0;
  return true;
}

bool ShmLock::lock() {
  bool dirty = false;
  if (__builtin_expect(try_lock(dirty), 1)) return dirty;
  lock_slowly();
  return dirty_.load(std::memory_order_relaxed) != 0;
}

void ShmLock::lock_slowly() {
  uint32_t own = process_id();
  // Another thread of this process may hold it (ngx.run_worker_thread), but not this one: it would wait for itself.
  FL_ASSERT(static_cast<uint32_t>(holder()) != own || locks_held == 0);
  for (int i = 0; i < spins_max; ++i) {
    uint32_t seen = word_.load(std::memory_order_relaxed);
    if (seen == 0 && word_.compare_exchange_weak(seen, own, std::memory_order_acquire, std::memory_order_relaxed)) return;
    relax();
  }
  for (;;) {
    uint32_t seen = word_.load(std::memory_order_relaxed);
    if (seen == 0) {
      // There may be other sleepers that nobody would wake: keep the bit.
      if (word_.compare_exchange_weak(seen, own | waiting_bit, std::memory_order_acquire, std::memory_order_relaxed)) return;
      continue;
    }
    if (!(seen & waiting_bit) && !word_.compare_exchange_weak(seen, seen | waiting_bit, std::memory_order_relaxed)) continue;
    sleep_on(word_, seen | waiting_bit);
    auto now_held_by = static_cast<pid_t>(word_.load(std::memory_order_relaxed) & ~waiting_bit);
    if (now_held_by != 0 && now_held_by == static_cast<pid_t>(seen & ~waiting_bit) && has_ended(now_held_by)) break_lock(now_held_by);
  }
}

void ShmLock::unlock() {
  FL_ASSERT(static_cast<uint32_t>(holder()) == process_id());
  free_and_wake();
}

void ShmLock::free_and_wake() {
  if (word_.exchange(0, std::memory_order_release) & waiting_bit) wake_sleepers(word_, 1);
}

bool ShmLock::break_lock(pid_t dead) {
  uint32_t seen = word_.load(std::memory_order_relaxed);
  if (dead <= 0 || (seen & ~waiting_bit) != static_cast<uint32_t>(dead)) return false;
  // Taken over first, so that `dirty` is written by a holder; if this process dies here the next one does the same.
  while (!word_.compare_exchange_weak(seen, process_id() | waiting_bit, std::memory_order_acquire, std::memory_order_relaxed)) {
    if ((seen & ~waiting_bit) != static_cast<uint32_t>(dead)) return false;
  }
  dirty_.store(1, std::memory_order_relaxed);
  free_and_wake();
  return true;
}

void ShmLock::mark_clean() {
  FL_ASSERT(static_cast<uint32_t>(holder()) == process_id());
  dirty_.store(0, std::memory_order_relaxed);
}

ShmLockGuard::ShmLockGuard(ShmLock& lock, ShmRepair repair) : lock_(lock) {
  FL_ASSERT(repair.repair != nullptr);
  bool dirty = lock.lock();
  ++locks_held;
  if (__builtin_expect(dirty, 0)) {
    repair.repair(repair.state);
    lock.mark_clean();
  }
}

ShmLockGuard::~ShmLockGuard() {
  FL_ASSERT(locks_held > 0);
  --locks_held;
  lock_.unlock();
}

}  // namespace fairlead
