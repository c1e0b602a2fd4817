// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/file/blocking.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#if defined(__linux__)
#include <sys/eventfd.h>
#endif

namespace fairlead {

BlockingPool::BlockingPool(Loop& loop, std::string name, unsigned threads_max, size_t queue_max)
    : loop_(loop), name_(std::move(name)), threads_max_(threads_max), queue_max_(queue_max), drain_(this) {
  FL_ASSERT(threads_max_ > 0);
}

Result<Unit> BlockingPool::open_signal() {
#if defined(__linux__)
  signal_read_ = signal_write_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (signal_read_ < 0) return Error::from_errno(errno, "eventfd() failed");
#else
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return Error::from_errno(errno, "pipe2() failed");
  signal_read_ = ends[0];
  signal_write_ = ends[1];
#endif
  auto watch = loop_.watch(signal_read_, PollMode::level_read);
  if (!watch) {
    close(signal_read_);
    if (signal_write_ != signal_read_) close(signal_write_);
    signal_read_ = signal_write_ = -1;
    return watch.error();
  }
  signal_watch_ = *watch;
  signal_watch_->alert(&drain_, true);
  return Unit();
}

// Signals are the loop thread's: the new thread inherits a mask that blocks them all.
Result<Unit> BlockingPool::start_thread() {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int err = pthread_create(&thread, nullptr, &BlockingPool::thread_main, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (err) return Error{Fault::exhausted, Side::local, err, "pthread_create() failed"};
  threads_.push_back(thread);
  return Unit();
}

void* BlockingPool::thread_main(void* self) {
  static_cast<BlockingPool*>(self)->work();
  return nullptr;
}

void BlockingPool::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    ++idle_;
    while (queue_.empty() && !ending_) filled_.wait(lock);
    --idle_;
    if (ending_) return;
    BlockingCall* call = queue_.pop_front();
    --queued_;
    call->state_ = BlockingCall::State::running;
    lock.unlock();
    call->run();
    lock.lock();
    call->state_ = BlockingCall::State::done;
    bool first = done_.empty();
    done_.push_back(*call);
    if (!first) continue;  // the loop has been told and will find this one too
    uint64_t one = 1;
    // A pipe takes single bytes just as well. EAGAIN cannot happen: at most one signal is in it.
    [[maybe_unused]] ssize_t written = write(signal_write_, &one, sizeof one);
  }
}

Result<Unit> BlockingPool::submit(BlockingCall* call) {
  if (stopped_) return Error{Fault::canceled, Side::local, 0, "thread pool is stopped"};
  if (signal_read_ < 0) FL_TRY(open_signal());
  bool needs_thread;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    needs_thread = idle_ <= queued_ && threads_.size() < threads_max_;
    if (queued_ >= queue_max_) {
      ++refused_;
      return Error{Fault::exhausted, Side::local, 0, "thread pool queue overflow"};
    }
  }
  if (needs_thread) {
    auto started = start_thread();
    if (!started && threads_.empty()) return started.error();  // else those that run will do it
  }
  std::lock_guard<std::mutex> lock(mutex_);
  queue_.push_back(*call);
  ++queued_;
  filled_.notify_one();
  return Unit();
}

void BlockingPool::orphan(BlockingCall* call) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    call->waiter_ = nullptr;
    if (call->state_ != BlockingCall::State::waiting) return;  // collect() destroys it
    call->unlink();
    --queued_;
  }
  delete call;
}

size_t BlockingPool::queued_count() {
  std::lock_guard<std::mutex> lock(mutex_);
  return queued_;
}

// The signal is emptied before the list is taken: a call that ends in between is in the list, and signals again for nothing.
void BlockingPool::collect() {
  char drained[64];
  while (read(signal_read_, drained, sizeof drained) == static_cast<ssize_t>(sizeof drained)) {
  }
  signal_watch_->set_ready(Direction::read, false);
  List<BlockingCall> ended;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ended.append(done_);
  }
  while (BlockingCall* call = ended.pop_front()) finish(call);
}

// Hands the call over to its awaiter, which goes on by way of the ready list; or destroys it.
void BlockingPool::finish(BlockingCall* call) {
  BlockingWait* waiter = call->waiter_;
  if (!waiter) {
    delete call;
    return;
  }
  waiter->ended_ = true;
  loop_.ready(*waiter);
}

void BlockingPool::stop() {
  if (stopped_) return;
  stopped_ = true;
  List<BlockingCall> dropped;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
    dropped.append(queue_);
    queued_ = 0;
    filled_.notify_all();
  }
  for (pthread_t thread : threads_) pthread_join(thread, nullptr);
  threads_.clear();
  while (BlockingCall* call = dropped.pop_front()) {
    BlockingWait* waiter = call->waiter_;
    if (waiter) {
      waiter->error_ = Error{Fault::canceled, Side::local, 0, "thread pool was stopped"};
      waiter->call_ = nullptr;
      loop_.ready(*waiter);
    }
    delete call;
  }
  if (signal_read_ < 0) return;
  collect();
  drain_.unlink();
  signal_watch_->alert(nullptr);
  loop_.unwatch(signal_watch_, true);
  close(signal_read_);
  if (signal_write_ != signal_read_) close(signal_write_);
  signal_read_ = signal_write_ = -1;
}

BlockingWait::~BlockingWait() {
  if (!call_) return;
  if (ended_) delete call_;
  else pool_->orphan(call_);
}

bool BlockingWait::submit(BlockingCall* call) {
  call->waiter_ = this;
  auto submitted = pool_->submit(call);
  if (submitted) {
    call_ = call;
    return true;
  }
  error_ = submitted.error();
  delete call;
  return false;
}

void BlockingWait::on_turn(Resumable& self) {
  auto& wait = static_cast<BlockingWait&>(self);
  wait.loop_.resume(wait.frame_);
}

}  // namespace fairlead
