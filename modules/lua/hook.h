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
  timer, ssl_client_hello, ssl_certificate, ssl_session_fetch, ssl_session_store, proxy_ssl_certificate, proxy_ssl_verify,
  worker_thread,  // a function of ngx.run_worker_thread, on a thread of its own
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
// Where there is a request of a client.
constexpr HookSet request_hooks(Hook::set, Hook::server_rewrite, Hook::rewrite, Hook::access, Hook::precontent, Hook::content,
                                Hook::header_filter, Hook::body_filter, Hook::log, Hook::balancer);
constexpr HookSet yielding_hooks(Hook::server_rewrite, Hook::rewrite, Hook::access, Hook::precontent, Hook::content, Hook::timer,
                                 Hook::ssl_client_hello, Hook::ssl_certificate, Hook::ssl_session_fetch, Hook::proxy_ssl_certificate,
                                 Hook::proxy_ssl_verify);
// In handshakes with clients: there is a connection, and not yet a request.
constexpr HookSet client_tls_hooks(Hook::ssl_client_hello, Hook::ssl_certificate, Hook::ssl_session_fetch, Hook::ssl_session_store);

}  // namespace fairlead::lua
