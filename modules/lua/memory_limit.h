// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// MemoryLimit: whether lua_memory_limit holds now. It does within a protected call of a script, where a refused allocation becomes an error
// of that script; what the engine does with a machine around it is small, unprotected, and never refused.
//
// They nest like the calls: a script prints, its head filter is prepared (nothing refused), runs (refused again), and so back.
#pragma once

namespace fairlead::lua {

class MemoryLimit {
 public:
  explicit MemoryLimit(bool holds) : before_(holds_) { holds_ = holds; }
  ~MemoryLimit() { holds_ = before_; }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

  static bool holds() { return holds_; }

 private:
  bool before_;
  static inline constinit thread_local bool holds_ = false;
};

}  // namespace fairlead::lua
