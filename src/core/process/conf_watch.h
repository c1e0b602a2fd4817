// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// config_watch: tells when the files of the configuration in use changed, or those of one that was refused, so that a mended one is taken.
// Looks when it is asked to: a few stat() calls a second, which follow links (Kubernetes swaps the folder `..data`) and see network mounts.
#pragma once

#include <optional>
#include <utility>

#include "core/conf/inputs.h"

namespace fairlead {

class ConfWatch {
 public:
  static constexpr uint64_t look_every_ms = 1000;

  // What the last load read, whatever came of it.
  void follow(ConfInputs inputs) {
    known_ = std::move(inputs);
    moving_.reset();
  }
  // True once for each change: when two looks in turn see the same that is not what was loaded. Files being written are left alone.
  bool look();

 private:
  ConfInputs known_;
  std::optional<ConfInputs> moving_;  // seen by the last look, and not known yet
};

}  // namespace fairlead
