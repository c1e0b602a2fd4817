// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Spool: the one Body that reads ahead. It takes the bytes of another Body up to a limit in memory, beyond it into a
// temporary file if one is
// allowed, and gives them in order; when both are full nothing more is read. Used in both directions:
// - request buffering: fill_all() before the upstream is chosen, rewind() for another try;
// - reply buffering: while the client keeps up, poll() takes straight from the source; when it does not, read_ahead().
// Lies in the request's arena or the relay's frame; the source and the limits' owner outlive it. Memory is counted by
// the bytes of the slices,
// which are never copied.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "event/file/spool_file.h"
#include "event/loop/child.h"
#include "event/loop/sync.h"
#include "http/message/body.h"

namespace fairlead::http {

// Hears of it once when the first bytes of a body lie in the temporary file.
class SpoolWatcher {
 public:
  virtual void begins_file(const std::string& name) = 0;

 protected:
  ~SpoolWatcher() = default;
};

struct SpoolLimits {
  size_t memory_bytes = 16 * 1024;      // kept in memory; without a file the chunk that reaches the limit may exceed it
  uint64_t file_bytes = 0;              // written to the temporary file in all, give or take a chunk; 0: none (proxy_max_temp_file_size 0)
  size_t file_write_bytes = 64 * 1024;  // gathered before a write to the file
};

class Spool final : public Body {
 public:
  // `file` may be nullptr: no disk.
  Spool(Loop& loop, Body& source, const SpoolLimits& limits, SpoolFile* file)
      : source_(source), limits_(limits), file_(file), arrived_(loop), room_(loop) {}

  // -- reading the whole before using it --

  // Reads the source to its end and keeps everything, so that it can be given again. Before the first poll(). Errors: the source's;
  // too_large if the limits cannot hold it; the file's (size() is then what was read so far, poll() gives it and then fails).
  Task<Result<Unit>> fill_all();
  // The next poll() gives the first byte again. Only after fill_all() succeeded.
  void rewind();
  bool is_replayable() const { return keeps_ && source_state_ == Poll::end; }

  // All of what fill_all() read, in order: for another body of the same, given independently of this one.
  const std::vector<Chunk>& kept() const {
    FL_ASSERT(is_replayable());
    return stored_;
  }

  // All of what fill_all() read is in memory. An empty body is not if it has a file.
  bool is_in_memory() const { return is_replayable() && memory_used_ == stored_bytes_ && !(file_ && file_->is_open()); }
  // Then: the bytes, in one piece, whatever of them was given. They stay as long as the Spool; made in `arena`, once, unless there is only
  // one piece.
  std::string_view text(Arena& arena);
  // Makes one piece of them.
  void join();
  // The name that the file has, or had, in which it lies in part or whole; empty if there is none.
  std::string_view file_name() const {
    return whole_file_name_.empty() && file_ && file_->is_open() ? std::string_view(file_->name()) : whole_file_name_;
  }
  // That of a file which is there and holds all of it, and nothing else; empty if there is none.
  std::string_view whole_file_name() const {
    bool is_whole = file_ && file_->has_name() && is_replayable() && memory_used_ == 0 && file_->size() == stored_bytes_;
    return whole_file_name_.empty() && is_whole ? std::string_view(file_->name()) : whole_file_name_;
  }
  // Somebody has such a file. The name outlives the Spool.
  void set_whole_file_name(std::string_view name) { whole_file_name_ = name; }

  // -- reading while the bytes are used --

  // Begins to read the source in the background, up to the limits. From inside the frame that will poll; nothing if it
  // is reading, or has come to
  // the end. From then on the source is the Spool's alone.
  void read_ahead();
  void watch_file(SpoolWatcher* watcher) { watcher_ = watcher; }
  // Ends that: the source may go away after this. What was read stays.
  void stop() { reader_.cancel(); }
  // A temporary file could not be made or written: the log wants to know, the bytes are safe (they stayed in memory, nothing more is
  // read than the client takes). Fault::none if all is well.
  const Error& file_error() const { return file_error_; }
  // Bytes that were or are in the temporary file.
  uint64_t file_bytes() const { return file_ ? file_->size() : 0; }
  // Read and not yet given.
  uint64_t buffered_bytes() const { return stored_left_ + to_file_.size(); }

  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override;
  Error error() const override { return error_; }
  const Headers* trailers() const override;

 private:
  bool is_reading() const { return reader_.is_started() && !reader_.is_done(); }
  bool has_stored() const { return next_ < stored_.size(); }
  bool file_has_room() const { return file_ && file_error_.fault == Fault::none && file_->size() + to_file_.size() < limits_.file_bytes; }
  bool has_room() const;
  Task<Unit> read_on();
  Task<Unit> write_out();
  Task<Unit> wait_for_room();
  Task<Result<Unit>> wait_arrived();
  void take(Chunk& chunk);
  void store(Chunk chunk);
  void fail(const Error& error);
  Poll give_stored(Chunk& chunk);

  Body& source_;
  SpoolLimits limits_;
  SpoolFile* file_;
  SpoolWatcher* watcher_ = nullptr;
  std::string_view whole_file_name_;  // of a file of somebody else's
  std::vector<Chunk> stored_;    // in order; before next_: given already (kept only with keeps_)
  size_t next_ = 0;
  std::string_view text_;        // all of it, once text() put it together
  uint64_t stored_left_ = 0;     // bytes from next_ on
  uint64_t stored_bytes_ = 0;    // bytes in all of stored_
  size_t memory_used_ = 0;       // of them in memory
  Chain to_file_;                // behind stored_: gathered for the file, or on its way there
  bool keeps_ = false;
  Poll source_state_ = Poll::ready;  // end or failed once the source came to it
  Error error_;
  Error file_error_;
  Event arrived_;                // something was stored, or the source came to its end
  Event room_;                   // something was given
  Child<Unit> reader_;           // last: it is destroyed before what it uses
};

}  // namespace fairlead::http
