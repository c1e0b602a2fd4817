// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// H2Conf: the values of the http2 directives.
#pragma once

#include "core/conf/module.h"
#include "core/conf/value.h"
#include "http/h2/rules.h"

namespace fairlead::http {
struct CoreConf;
}
namespace fairlead::http::h2 {

struct H2Conf {
  bool on = false;
  uint64_t max_concurrent_streams = 128;
  Size chunk_size{8192};
  Size body_preread_size{65'536};
  Size recv_buffer_size{256 * 1024};
  uint64_t max_resets = 1000;
  uint64_t max_control_frames = 10'000;
};

// What a server's connections go by. Head rules are shared with HTTP/1.
ServerRules rules_of(const H2Conf& own, const CoreConf& core, const HeadRules& head);

extern const Module http_v2_module;

}  // namespace fairlead::http::h2
