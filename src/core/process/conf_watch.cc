// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/conf_watch.h"

namespace fairlead {

bool ConfWatch::look() {
  ConfInputs now = known_.looked_at_again();
  if (now == known_) {
    moving_.reset();
    return false;
  }
  if (!moving_ || *moving_ != now) {
    moving_ = std::move(now);
    return false;
  }
  follow(std::move(now));
  return true;
}

}  // namespace fairlead
