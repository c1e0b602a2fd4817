// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/hook.h"

namespace fairlead::lua {
namespace {

struct Names {
  const char* directive;
  const char* hook;
  const char* phase;
};
// In the order of Hook.
constexpr Names names[] = {
    {"init_by_lua", "init_by_lua*", "init"},
    {"init_worker_by_lua", "init_worker_by_lua*", "init_worker"},
    {"exit_worker_by_lua", "exit_worker_by_lua*", "exit_worker"},
    {"set_by_lua", "set_by_lua*", "set"},
    {"server_rewrite_by_lua", "server_rewrite_by_lua*", "server_rewrite"},
    {"rewrite_by_lua", "rewrite_by_lua*", "rewrite"},
    {"access_by_lua", "access_by_lua*", "access"},
    {"precontent_by_lua", "precontent_by_lua*", "precontent"},
    {"content_by_lua", "content_by_lua*", "content"},
    {"header_filter_by_lua", "header_filter_by_lua*", "header_filter"},
    {"body_filter_by_lua", "body_filter_by_lua*", "body_filter"},
    {"log_by_lua", "log_by_lua*", "log"},
    {"balancer_by_lua", "balancer_by_lua*", "balancer"},
    {"ngx.timer", "ngx.timer", "timer"},
    {"ssl_client_hello_by_lua", "ssl_client_hello_by_lua*", "ssl_client_hello"},
    {"ssl_certificate_by_lua", "ssl_certificate_by_lua*", "ssl_cert"},
    {"ssl_session_fetch_by_lua", "ssl_session_fetch_by_lua*", "ssl_session_fetch"},
    {"ssl_session_store_by_lua", "ssl_session_store_by_lua*", "ssl_session_store"},
    {"proxy_ssl_certificate_by_lua", "proxy_ssl_certificate_by_lua*", "proxy_ssl_cert"},
    {"proxy_ssl_verify_by_lua", "proxy_ssl_verify_by_lua*", "proxy_ssl_verify"},
    {"ngx.run_worker_thread", "ngx.run_worker_thread", "init"},  // where there is no request, and nothing may wait
};
const Names& of(Hook hook) { return names[static_cast<unsigned>(hook)]; }

}  // namespace

const char* hook_name(Hook hook) { return of(hook).hook; }
const char* phase_name(Hook hook) { return of(hook).phase; }
const char* directive_name(Hook hook) { return of(hook).directive; }

}  // namespace fairlead::lua
