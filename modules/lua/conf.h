// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What the configuration says about Lua: the scripts of each hook and the values of the lua_* directives. Scripts lie in the generation's
// arena; their compiled form belongs to its VM.
#pragma once

#include <string_view>
#include <vector>

#include "core/conf/module.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "event/tls/client.h"
#include "modules/lua/hook.h"

namespace fairlead {
class Zone;
}

namespace fairlead::lua {

class SharedDict;
class Vm;

// The text of one hook, or where its file is.
struct Script {
  Hook hook;
  bool is_file = false;
  std::string_view code;        // unless it is a file
  Template path;                // of a file; relative ones begin at the prefix
  std::string_view chunk_name;  // "=content_by_lua(fairlead.conf:27)"; of a file it is made from the path
  mutable int function = -2;    // LUA_NOREF: not compiled yet; of a file without variables, or a text: in the VM's registry
};

struct SharedZone {
  std::string_view name;
  Zone* zone = nullptr;
  size_t bytes = 0;  // as configured: the zone may be larger
  mutable SharedDict* dict = nullptr;  // in the generation's arena; all its machines use the same
};

// The base: lua_ssl_*, of sockets.
struct LuaConf : TlsClientConf {
  LuaConf() { is_verified_on_request = true; }
  // Of the main part alone.
  Vm* vm = nullptr;  // nullptr: no Lua in this configuration
  TlsClients tls_clients;
  // Of `http`.
  Script* init = nullptr;
  Script* init_worker = nullptr;
  Script* exit_worker = nullptr;
  std::string_view package_path, package_cpath;
  std::vector<SharedZone> shared_dicts;
  uint64_t max_pending_timers = 1024, max_running_timers = 256;
  uint64_t regex_cache_max = 1024, regex_match_limit = 0;
  Size memory_limit{0};          // 0: none
  Msec run_time_limit{60'000};   // 0: none
  bool jit = true;
  uint64_t worker_thread_vms = 10;
  uint64_t malloc_trim = 1000;   // requests; 0: never
  bool rewrite_no_postpone = false, access_no_postpone = false;
  Size capture_error_log{0};     // 0: nothing is kept
  // Of `upstream`.
  Script* balancer = nullptr;
  // Of any place.
  Script* server_rewrite = nullptr;
  Script* rewrite = nullptr;
  Script* access = nullptr;
  Script* precontent = nullptr;
  Script* content = nullptr;
  Script* header_filter = nullptr;
  Script* body_filter = nullptr;
  Script* log = nullptr;
  // Of servers and `http`; the last two of locations.
  Script* ssl_client_hello = nullptr;
  Script* ssl_certificate = nullptr;
  Script* ssl_session_fetch = nullptr;
  Script* ssl_session_store = nullptr;
  Script* proxy_ssl_certificate = nullptr;
  Script* proxy_ssl_verify = nullptr;
  bool skip_default_verify = false;
  TlsClient* tls = nullptr;  // what sockets are secured with
  bool code_cache = true;
  bool need_request_body = false;
  bool use_default_type = true;
  bool http10_buffering = true;
  bool check_client_abort = false;
  bool transform_underscores = true;
  Msec socket_connect_timeout{60'000}, socket_send_timeout{60'000}, socket_read_timeout{60'000};
  Msec socket_keepalive_timeout{60'000};
  Size socket_buffer_size{4096}, socket_send_lowat{0};
  uint64_t socket_pool_size = 30;
  bool socket_log_errors = true;
};

// A row's setter for one hook: `_block`, `_file` and the quoted form, told by the directive's name.
ConfResult<Unit> read_script(Line& line, Hook hook, Script*& script);

}  // namespace fairlead::lua
