// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Live<T>: a value that is replaced at run time while readers go on with the version they hold. Counts are plain integers: one process, its
// event-loop thread. What makes the new value, and how other workers learn of it, is decided elsewhere. The old version is destroyed by
// whoever lets go of it last: the Live itself or a Ref.
#pragma once

#include <cstdint>
#include <utility>

#include "core/base/error.h"

namespace fairlead {

template <class T>
class Live {
  struct Version {
    T value;
    uint64_t number;
    uint32_t users;
  };

 public:
  // A version in use. Copying counts; it may outlive the Live. Empty after a move.
  class Ref {
   public:
    Ref() = default;
    Ref(const Ref& other) : version_(other.version_) {
      if (version_) ++version_->users;
    }
    Ref(Ref&& other) noexcept : version_(std::exchange(other.version_, nullptr)) {}
    Ref& operator=(Ref other) noexcept {
      std::swap(version_, other.version_);
      return *this;
    }
    ~Ref() { drop(version_); }

    explicit operator bool() const { return version_ != nullptr; }
    const T& operator*() const { return version_->value; }
    const T* operator->() const { return &version_->value; }
    // Counts from 1 up by replacements.
    uint64_t number() const { return version_->number; }

   private:
    friend class Live;
    explicit Ref(Version* version) : version_(version) { ++version_->users; }
    Version* version_ = nullptr;
  };

  explicit Live(T value) : current_(new Version{std::move(value), 1, 1}) {}
  Live(Live&& other) noexcept : current_(std::exchange(other.current_, nullptr)) {}
  Live& operator=(Live&&) = delete;
  ~Live() { drop(current_); }

  // The version that is current now, kept alive as long as the Ref.
  Ref use() const { return Ref(current_); }
  // Only until the next replace(), and never across a wait.
  const T& peek() const { return current_->value; }
  uint64_t number() const { return current_->number; }
  // Readers that come from now on see `value`.
  void replace(T value) {
    Version* old = std::exchange(current_, new Version{std::move(value), current_->number + 1, 1});
    drop(old);
  }

 private:
  static void drop(Version* version) {
    if (!version) return;
    FL_ASSERT(version->users > 0);
    if (--version->users == 0) delete version;
  }
  Version* current_;
};

}  // namespace fairlead
