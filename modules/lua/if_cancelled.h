// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// IfCancelled: what becomes of a stream whose reader, writer or handshake is destroyed where it waits (its thread was killed): how far it
// came nobody can tell any more, so the next must not go on from there.
#pragma once

#include <utility>

namespace fairlead::lua {

// A local of the coroutine that waits, made before the wait. `Act` is plain: it closes, and never waits or resumes.
template <class Act>
class IfCancelled {
 public:
  explicit IfCancelled(Act act) : act_(std::move(act)) {}
  ~IfCancelled() {
    if (!is_past_) act_();
  }
  IfCancelled(const IfCancelled&) = delete;
  IfCancelled& operator=(const IfCancelled&) = delete;
  // The wait came to its end, whatever that was.
  void pass() { is_past_ = true; }

 private:
  Act act_;
  bool is_past_ = false;
};

}  // namespace fairlead::lua
