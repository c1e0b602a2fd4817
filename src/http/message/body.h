// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Body: a message body that is pulled. Nothing is read that nobody asked for; a filter is a Body that reads from a Body and implements
// only poll(). What reads ahead is the spool (request/spool.h), with a limit. Sources of bytes that are already there live here; those that
// read a connection belong to their protocol (h1/body.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/base/error.h"
#include "event/file/ref.h"
#include "event/loop/task.h"

namespace fairlead::http {

class Headers;

// What a pull gives: bytes in memory, or a range of a file (then `file` is set).
struct Chunk {
  Slice bytes;
  FileRef file;
  uint64_t file_offset = 0;
  uint64_t file_bytes = 0;

  bool is_file() const { return static_cast<bool>(file); }
  uint64_t size() const { return is_file() ? file_bytes : bytes.size; }
  void clear() {
    bytes = Slice();
    file = FileRef();
    file_bytes = 0;
  }
};

enum class Poll : uint8_t {
  ready,    // the chunk is filled, not empty
  pending,  // nothing now: await ready(), then poll again
  end,      // the body is complete; poll() stays at end
  failed,   // error() says why; the body is cut short
};

// Destroyed as what it is, by who made it: one without anything to give back costs its arena no clean-up.
class Body {
 public:
  // At most one chunk, without waiting. ready: `chunk` is overwritten as a whole, whatever it held. Else it says nothing, and nobody may
  // look at it: who keeps chunks polls into one of his own and takes it over on ready. A body that drops what it pulled clears the chunk:
  // memory and files are not to be held while its reader waits.
  virtual Poll poll(Chunk& chunk) = 0;
  // Waits until poll() can give something else than pending. Call only after pending. Bounded by the source's own timeout: the error
  // comes from here, or from poll() as failed.
  virtual Task<Result<Unit>> ready() = 0;
  // Bytes not yet pulled, if known.
  virtual std::optional<uint64_t> size() const { return std::nullopt; }
  // Whether all of it has been received: it can be pulled to its end without waiting.
  virtual bool is_at_hand() const { return false; }
  // After failed.
  virtual Error error() const { return Error{}; }
  // These bytes of it, counted from where it is now, as a body of their own in `arena`; the original must stay but is no longer pulled.
  // nullptr: it cannot be cut without being read.
  virtual Body* part(Arena&, uint64_t /*offset*/, uint64_t /*bytes*/) { return nullptr; }
  // After end: the trailer section, or nullptr.
  virtual const Headers* trailers() const { return nullptr; }

 protected:
  ~Body() = default;
};

// Pulls until end; for callers that want the waiting form. ready: `chunk` is filled.
Task<Poll> next(Body& body, Chunk& chunk);

class EmptyBody final : public Body {
 public:
  Poll poll(Chunk&) override { return Poll::end; }
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override { return 0; }
};

// Bytes that are there already.
class BytesBody final : public Body {
 public:
  BytesBody() = default;
  explicit BytesBody(Chain bytes) : bytes_(std::move(bytes)) {}
  explicit BytesBody(Slice slice) { bytes_.push_back(std::move(slice)); }
  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override { return bytes_.size(); }
  Body* part(Arena& arena, uint64_t offset, uint64_t bytes) override;

 private:
  Chain bytes_;
};

// A range of an open file.
class FileBody final : public Body {
 public:
  FileBody(FileRef file, uint64_t offset, uint64_t bytes) : file_(std::move(file)), offset_(offset), left_(bytes) {}
  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override { return left_; }
  Body* part(Arena& arena, uint64_t offset, uint64_t bytes) override;

 private:
  FileRef file_;
  uint64_t offset_;
  uint64_t left_;
};

}  // namespace fairlead::http
