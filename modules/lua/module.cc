// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Lua: OpenResty's hooks and API on LuaJIT. This file: the directives, and the life of the machine: made when a configuration is ready,
// entered by each worker. README.md says what of the API is there.
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/conf/generation.h"
#include "core/shm/shm.h"
#include "core/upstream/group.h"
#include "event/hooks.h"
#include "event/worker.h"
#include "http/conf/core_conf.h"
#include "http/conf/http_block.h"
#include "http/conf/location.h"
#include "modules/lua/block_end.h"
#include "modules/lua/captured_log.h"
#include "modules/lua/hooks.h"
#include "modules/lua/machine.h"
#include "modules/lua/process_stack.h"
#include "modules/lua/shared_dict.h"
#include "modules/lua/thread_machine.h"
#include "modules/lua/timers.h"
#include "modules/lua/vm.h"

namespace fairlead {
namespace lua {
namespace {

template <Hook hook, Script* LuaConf::*Member>
ConfResult<Unit> set_script(Line& line, LuaConf& own) {
  FL_TRY(read_script(line, hook, own.*Member));
  if constexpr (hook == Hook::balancer) use_chooser(line, *own.balancer);
  if constexpr (hook == Hook::content) http::set_content(line, &run_content);
  return Unit();
}

ConfResult<Unit> set_shared_dict(Line& line, LuaConf& own) {
  if (line.word(1).empty()) return format("invalid lua shared dict name \"{}\"", line.word(1));
  auto bytes = parse_size(line.word(2), SizeUnits::up_to_giga);
  if (!bytes || *bytes < 8191) return format("invalid lua shared dict size \"{}\"", line.word(2));
  for (const SharedZone& known : own.shared_dicts)
    if (known.name == line.word(1)) return format("lua_shared_dict \"{}\" is already defined as \"{}\"", line.word(1), line.word(1));
  auto zone = declare_dict(line.generation(), line.word(1), *bytes);
  if (!zone) return zone.error();
  own.shared_dicts.push_back({line.word(1), *zone, *bytes});
  return Unit();
}

ConfResult<Unit> set_capture_log(Line& line, LuaConf& own) {
  constexpr uint64_t bytes_min = 4096;
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_mega);
  if (!bytes || *bytes < bytes_min) return format("invalid capture error log size \"{}\", minimum size is {}", line.word(1), bytes_min);
  own.capture_error_log = Size{*bytes};
  return Unit();
}

// Of all connections of the group, like keepalive.
ConfResult<Unit> set_balancer_keepalive(Line& line, LuaConf&) {
  auto number = parse_decimal(line.word(1));
  if (!number || *number == 0) return line.invalid_value(1);
  group_of(line).keepalive.idle_max = *number;
  return Unit();
}

ConfResult<Unit> set_code_cache(Line& line, LuaConf& own) {
  FL_TRY(ConfValue<bool>::parse(line, own.code_cache));
  if (!own.code_cache) Logger().alert("lua_code_cache is off; this will hurt performance{}", at_place(line.place()));
  return Unit();
}

ConfResult<Unit> accept(Line&, LuaConf&) { return Unit(); }

template <class Value>
ConfResult<Unit> accept_value(Line& line, LuaConf&) {
  Value unused{};
  return ConfValue<Value>::parse(line, unused);
}

constexpr uint32_t anywhere = in_http_any | in_location_if;
constexpr uint32_t in_places = in_location | in_location_if;

// The three rows of a hook.
#define FL_HOOK(hook, contexts, sentence)                                                                                            \
  custom<set_script<Hook::hook, &LuaConf::hook>, LuaConf, &LuaConf::hook>(#hook "_by_lua_block", contexts, words(0), sentence)       \
      .raw(block_end)                                                                                                                \
      .takes("{ Lua code }"),                                                                                                        \
      custom<set_script<Hook::hook, &LuaConf::hook>, LuaConf, &LuaConf::hook>(#hook "_by_lua_file", contexts, words(1),              \
                                                                              sentence " The code is in a file.")                    \
          .takes("path"),                                                                                                            \
      custom<set_script<Hook::hook, &LuaConf::hook>, LuaConf, &LuaConf::hook>(#hook "_by_lua", contexts, words(1),                   \
                                                                              sentence " The code is a quoted text.")                \
          .takes("text")

// The last entry of the phases it takes part in.
constexpr std::string_view runs_after[] = {"access", "realip", "http_auth_basic", "http_auth_request", "http_limit_req", "http_limit_conn",
                                           "limit_conn", "http_rewrite", "http_try_files", "http_mirror"};

constexpr Directive rows[] = {
    FL_HOOK(init, in_http, "Lua run in the master when a configuration is loaded, but not to test one (`-t`)."),
    FL_HOOK(init_worker, in_http, "Lua run when a worker starts."),
    FL_HOOK(exit_worker, in_http, "Lua run when a worker leaves in an orderly way."),
    FL_HOOK(server_rewrite, in_http | in_server,
            "Lua run ahead of the server's own rewrites, before the location of a request is looked for."),
    FL_HOOK(rewrite, anywhere, "Lua run at the end of the rewrite phase."),
    FL_HOOK(access, anywhere, "Lua run at the end of the access phase; returning allows the request."),
    FL_HOOK(precontent, anywhere, "Lua run before the content of a request is made."),
    FL_HOOK(content, in_places, "Lua that answers the requests of the location."),
    FL_HOOK(header_filter, anywhere, "Lua run on the head of a response before it leaves."),
    FL_HOOK(body_filter, anywhere, "Lua run on each piece of a response's body."),
    FL_HOOK(balancer, in_upstream, "Lua that names the peer of each try on the group; where it names none, it is one of the group's own."),
    FL_HOOK(log, anywhere, "Lua run when a request has ended, before the access log."),
    FL_HOOK(ssl_client_hello, in_http | in_server, "Lua run when a client hello was read, before anything of it counts."),
    FL_HOOK(ssl_certificate, in_http | in_server, "Lua run before a certificate is shown to a client; it may choose another."),
    FL_HOOK(ssl_session_fetch, in_http, "Lua run when a client wants to resume a session (TLS 1.2): it may give it."),
    FL_HOOK(ssl_session_store, in_http, "Lua run when a session was made with a client (TLS 1.2), to keep it."),
    custom<set_balancer_keepalive, LuaConf>("balancer_keepalive", in_upstream, words(1),
                                            "Idle connections kept per worker for peers that balancer_by_lua names.")
        .takes("number"),
    FL_HOOK(proxy_ssl_certificate, in_location,
            "Lua run when a peer of proxy_pass asks for a certificate; it may choose one, for this request alone."),
    FL_HOOK(proxy_ssl_verify, in_location, "Lua run when the certificate of a peer of proxy_pass was verified; it has the last word."),
    slot<LuaConf, &LuaConf::skip_default_verify>("lua_upstream_skip_openssl_default_verify", in_location,
                                                 "The chain of a peer counts as good until proxy_ssl_verify_by_lua says otherwise."),
    custom<add_set_statement, LuaConf>("set_by_lua_block", in_server | in_server_if | in_places, words(1),
                                       "Lua whose value a variable gets, among the statements of the rewrite module.")
        .raw(block_end)
        .many()
        .takes("$variable { Lua code }"),
    custom<add_set_statement, LuaConf>("set_by_lua_file", in_server | in_server_if | in_places, words_from(2),
                                       "Lua in a file whose value a variable gets; further words are its ngx.arg.")
        .many()
        .takes("$variable path [argument ...]"),
    custom<add_set_statement, LuaConf>("set_by_lua", in_server | in_server_if | in_places, words_from(2),
                                       "A quoted Lua text whose value a variable gets; further words are its ngx.arg.")
        .many()
        .takes("$variable text [argument ...]"),
    slot<LuaConf, &LuaConf::package_path>("lua_package_path", in_http, "Where require looks for Lua files; ;; stands for the default."),
    slot<LuaConf, &LuaConf::package_cpath>("lua_package_cpath", in_http, "Where require looks for C libraries; ;; stands for the default."),
    custom<set_shared_dict, LuaConf, &LuaConf::shared_dicts>("lua_shared_dict", in_http, words(2),
                                                             "A dictionary that all workers share, as ngx.shared.NAME.")
        .many()
        .takes("name size"),
    slot<LuaConf, &LuaConf::max_pending_timers>("lua_max_pending_timers", in_http, "How many timers may wait in a worker."),
    slot<LuaConf, &LuaConf::max_running_timers>("lua_max_running_timers", in_http, "How many timers may run at once in a worker."),
    slot<LuaConf, &LuaConf::regex_cache_max>("lua_regex_cache_max_entries", in_http,
                                             "How many compiled patterns of ngx.re with option o are kept."),
    slot<LuaConf, &LuaConf::regex_match_limit>("lua_regex_match_limit", in_http,
                                               "The limit on backtracking in ngx.re; 0 is the library's default."),
    slot<LuaConf, &LuaConf::memory_limit>("lua_memory_limit", in_http,
                                          "What Lua's own objects may take in a worker (memory of FFI is not counted); 0: no limit."),
    slot<LuaConf, &LuaConf::run_time_limit>("lua_run_time_limit", in_http,
                                            "Processor time that a script may use without waiting before it is ended; 0: no limit."),
    custom<set_capture_log, LuaConf, &LuaConf::capture_error_log>("lua_capture_error_log", in_http, words(1),
                                                                  "Memory for the newest lines of the error log, see ngx.errlog.")
        .takes("size"),
    slot<LuaConf, &LuaConf::worker_thread_vms>("lua_worker_thread_vm_pool_size", in_http,
                                               "How many Lua machines a worker has at most for ngx.run_worker_thread."),
    slot<LuaConf, &LuaConf::malloc_trim>("lua_malloc_trim", in_http,
                                         "After how many requests with scripts a worker gives free memory back to the system; 0: never."),
    slot<LuaConf, &LuaConf::rewrite_no_postpone>("rewrite_by_lua_no_postpone", in_http,
                                                 "Run rewrite_by_lua ahead of set, if and rewrite instead of behind them."),
    slot<LuaConf, &LuaConf::access_no_postpone>("access_by_lua_no_postpone", in_http,
                                                "Run access_by_lua ahead of all other access checks instead of behind them."),
    slot<LuaConf, &LuaConf::jit>("lua_jit", in_http, "Whether Lua is compiled to machine code."),
    custom<set_code_cache, LuaConf, &LuaConf::code_cache>("lua_code_cache", anywhere, words(1),
                                                          "Off: each request has a Lua machine of its own, its files are read anew.")
        .takes("on | off"),
    slot<LuaConf, &LuaConf::need_request_body>("lua_need_request_body", anywhere, "Read the request's body before a script runs."),
    slot<LuaConf, &LuaConf::use_default_type>("lua_use_default_type", anywhere,
                                              "Give responses of scripts the type of default_type if they have none."),
    slot<LuaConf, &LuaConf::http10_buffering>("lua_http10_buffering", anywhere,
                                              "Hold responses of scripts to HTTP/1.0 clients back until their length is known."),
    slot<LuaConf, &LuaConf::check_client_abort>("lua_check_client_abort", anywhere, "End a waiting script when its client goes away."),
    slot<LuaConf, &LuaConf::transform_underscores>("lua_transform_underscores_in_response_headers", anywhere,
                                                   "In ngx.header an underscore means a hyphen."),
    slot<LuaConf, &LuaConf::socket_connect_timeout>("lua_socket_connect_timeout", anywhere, "Time for a script's socket to connect."),
    slot<LuaConf, &LuaConf::socket_send_timeout>("lua_socket_send_timeout", anywhere, "Time between two writes of a script's socket."),
    slot<LuaConf, &LuaConf::socket_read_timeout>("lua_socket_read_timeout", anywhere, "Time between two reads of a script's socket."),
    slot<LuaConf, &LuaConf::socket_buffer_size>("lua_socket_buffer_size", anywhere, "The buffer for what a script's socket reads."),
    slot<LuaConf, &LuaConf::socket_send_lowat>("lua_socket_send_lowat", anywhere,
                                               "SO_SNDLOWAT of a script's sockets, where the system lets it be set."),
    slot<LuaConf, &LuaConf::socket_pool_size>("lua_socket_pool_size", anywhere,
                                              "Idle connections kept in each pool of scripts' sockets."),
    slot<LuaConf, &LuaConf::socket_keepalive_timeout>("lua_socket_keepalive_timeout", anywhere,
                                                      "How long a script's connection may idle in its pool."),
    slot<LuaConf, &LuaConf::socket_log_errors>("lua_socket_log_errors", anywhere, "Log failures of scripts' sockets as errors."),
    custom<set_tls_client_trusted, LuaConf, &TlsClientConf::trusted_certificate>("lua_ssl_trusted_certificate", in_http_any, words(1),
                                                                                 "Authorities whose peers scripts' sockets trust.")
        .takes("file"),
    slot<LuaConf, &TlsClientConf::verify_depth>("lua_ssl_verify_depth", in_http_any, "Longest chain of a peer of scripts' sockets."),
    slot<LuaConf, &TlsClientConf::protocols>("lua_ssl_protocols", in_http_any, "Versions of TLS of scripts' sockets."),
    slot<LuaConf, &TlsClientConf::ciphers>("lua_ssl_ciphers", in_http_any, "Their ciphers up to TLS 1.2, in OpenSSL's format."),
    custom<set_tls_client_crl, LuaConf, &TlsClientConf::crl>("lua_ssl_crl", in_http_any, words(1), "Revoked certificates of their peers.")
        .takes("file"),
    custom<set_tls_client_certificate, LuaConf, &TlsClientConf::certificate>("lua_ssl_certificate", in_http_any, words(1),
                                                                             "The certificate that they show, in PEM.")
        .takes("file"),
    custom<set_tls_client_key, LuaConf, &TlsClientConf::key>("lua_ssl_certificate_key", in_http_any, words(1), "Its key.").takes("file"),
    custom<set_tls_client_key_log, LuaConf, &TlsClientConf::key_log>("lua_ssl_key_log", in_http_any, words(1),
                                                              "File for the secrets of their handshakes (SSLKEYLOGFILE format).")
        .takes("file"),
    slot<LuaConf, &TlsClientConf::commands>("lua_ssl_conf_command", in_http_any, "A command of OpenSSL's configuration for them."),
    custom<accept, LuaConf>("lua_load_resty_core", in_http, words(1), "Accepted and without meaning: the API is always there.")
        .takes("on | off"),
    custom<accept_value<uint64_t>, LuaConf>("lua_thread_cache_max_entries", in_http, words(1),
                                            "Accepted and without meaning: the cache sizes itself.")
        .takes("number"),
    custom<accept_value<bool>, LuaConf>("lua_sa_restart", in_http, words(1), "Accepted and without meaning: system calls are restarted.")
        .takes("on | off"),
};
#undef FL_HOOK

// -- the TLS of sockets --

bool is_used(Block& root) {
  bool used = false;
  each_block(root, [&](Block& block) { used = used || block.has_own_conf(conf_index<LuaConf>); });
  return used;
}

// Every place has a client; those with equal settings share one.
ConfResult<Unit> make_clients(Generation& generation) {
  if (!is_used(generation.root())) return Unit();
  TlsClients& all = conf<LuaConf>(generation.root()).tls_clients;
  ConfResult<Unit> made = Unit();
  each_block(generation.root(), [&](Block& block) {
    LuaConf& own = conf<LuaConf>(block);
    if (!made || own.tls) return;
    for (const Template* source : {&own.certificate, &own.key})
      if (source->is_set() && !source->is_literal())
        made = format("variables are not supported in \"lua_ssl_certificate\"{}\n", at_place(block.place()));
    if (!made) return;
    auto client = all.of(generation, block, own, "lua_ssl");
    if (client) own.tls = *client;
    else made = std::move(client.error());
  });
  return made;
}

// -- replies --

// ngx.var names its variables when it is asked.
void show_upstream_fields(Generation& generation) {
  each_block(generation.root(), [](Block& block) {
    const LuaConf& own = conf<LuaConf>(block);
    if (own.header_filter || own.body_filter || own.log) conf<http::CoreConf>(block).shows_upstream_fields = true;
  });
}

ConfResult<Unit> complete(Generation& generation) {
  show_upstream_fields(generation);
  return make_clients(generation);
}

// -- the machine's life --

ConfResult<Unit> make_machine(Generation& generation) {
  http::HttpBlock* http = http::http_block_of(generation);
  if (!http || !is_used(generation.root())) return Unit();
  const LuaConf& own = conf<LuaConf>(*http->block);
  Vm* vm = generation.arena().make<Vm>(generation, *http->block);
  conf<LuaConf>(generation.root()).vm = vm;
  if (own.capture_error_log) {
    vm->captured_log = generation.arena().make<CapturedLog>(own.capture_error_log);
    vm->captured_log->follow(generation.root());
  }
  return start_machine(*vm);
}

Vm* machine_of(Worker& worker) { return conf<LuaConf>(worker.generation().root()).vm; }

class InitWorkerContext final : public LogContext {
 public:
  void append(LogText& to) const override { to.append(", context: init_worker_by_lua*"); }
};

Task<Unit> start_worker(Worker& worker) {
  if (Vm* vm = machine_of(worker)) {
    raise_stack_limit();
    vm->enter_worker(worker);
    worker.state<Timers>();
    RunLimit::start(*vm, vm->conf().run_time_limit);
    if (vm->conf().init_worker) {
      InitWorkerContext context;
      Scope scope(*vm, Hook::init_worker, nullptr, Logger().with(&context));
      run_plain(scope, *vm->conf().init_worker);
    }
  }
  co_return Unit();
}

void stop_worker(Worker& worker) {
  Vm* vm = machine_of(worker);
  if (!vm || !vm->worker()) return;
  worker.state<Timers>().end();
  if (vm->conf().exit_worker) {
    Scope scope(*vm, Hook::exit_worker, nullptr, Logger());
    run_plain(scope, *vm->conf().exit_worker);
  }
  worker.state<ThreadMachines>().end();
}

Task<Unit> leave_worker(Worker& worker) {
  if (machine_of(worker)) co_await worker.state<Timers>().leave();
  co_return Unit();
}

Task<Unit> finish_worker(Worker& worker) {
  if (machine_of(worker)) co_await worker.state<Timers>().finish();
  co_return Unit();
}

constexpr event::Hooks event_hooks = {.start = start_worker, .leave = leave_worker, .finish = finish_worker, .stop = stop_worker};

}  // namespace
}  // namespace lua

extern constinit const Module lua_module = {
    .name = "lua",
    .conf = conf_of<lua::LuaConf>,
    .directives = lua::rows,
    .after = lua::runs_after,
    .generation = lua::complete,
    .ready = lua::make_machine,
    .event = &lua::event_hooks,
    .http = &lua::http_hooks,
};

}  // namespace fairlead
