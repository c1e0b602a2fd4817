// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The places where scripts run, with the names that scripts and logs know them by, and sets of them for saying where a function may be
// called.
#pragma once

#include <cstdint>

namespace fairlead::lua {

enum class Hook : uint8_t {
  init, init_worker, exit_worker, set, server_rewrite, rewrite, access, precontent, content, header_filter, body_filter, log, balancer,
  timer,
};

// "content_by_lua*", "ngx.timer": as errors name it.
const char* hook_name(Hook hook);
// "content", "timer": what ngx.get_phase() gives.
const char* phase_name(Hook hook);
// "content_by_lua": the beginning of chunk names.
const char* directive_name(Hook hook);

class HookSet {
 public:
  template <class... Hooks>
  constexpr explicit HookSet(Hooks... hooks) : bits_((0u | ... | (1u << static_cast<unsigned>(hooks)))) {}
  constexpr bool has(Hook hook) const { return (bits_ >> static_cast<unsigned>(hook)) & 1; }

 private:
  uint32_t bits_;
};

// Where output, redirects and subrequests make sense.
constexpr HookSet output_hooks(Hook::server_rewrite, Hook::rewrite, Hook::access, Hook::precontent, Hook::content);
constexpr HookSet yielding_hooks(Hook::server_rewrite, Hook::rewrite, Hook::access, Hook::precontent, Hook::content, Hook::timer);

}  // namespace fairlead::lua
