// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/binder.h"

#include "core/base/encoding.h"
#include "core/base/hash.h"

namespace fairlead {

std::string default_route(std::string_view peer_name) {
  Md5 digest = md5(peer_name);
  return hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace fairlead
