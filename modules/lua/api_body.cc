// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// ngx.req: reading, giving and replacing the body.
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/format.h"
#include "event/loop/child.h"
#include "http/conf/core_conf.h"
#include "http/request/read_body.h"
#include "http/request/request.h"
#include "http/request/spool.h"
#include "modules/lua/api.h"
#include "modules/lua/body_read.h"
#include "modules/lua/request_body.h"
#include "modules/lua/request_state.h"
#include "modules/lua/run.h"

namespace fairlead::lua {

using http::Request;

bool body_in_memory(Request& request, std::string_view& text) {
  http::Spool& spool = *request.spooled_body;
  if (!spool.is_in_memory()) return false;
  spool.rewind();
  auto bytes = spool.size().value_or(0);
  char* to = static_cast<char*>(request.arena().allocate(bytes, 1));
  size_t at = 0;
  http::Chunk chunk;
  bool whole = true;
  while (spool.poll(chunk) == http::Poll::ready) {
    if (chunk.is_file()) {
      whole = false;
      break;
    }
    if (chunk.bytes.size > bytes - at) break;
    std::memcpy(to + at, chunk.bytes.data, chunk.bytes.size);
    at += chunk.bytes.size;
  }
  spool.rewind();
  text = {to, at};
  return whole;
}

namespace {

// What a script has made of the body, and is making of it.
struct BodyState {
  std::string_view file;     // of set_body_file
  FileRef gathered;          // of get_body_file: the whole body
  std::string_view memory;   // of body_in_memory, once it was put together
  const http::Spool* of = nullptr;
  Chain building;            // init_body, append_body
  bool is_building = false;
};

// One that holds all of `body`, of which nothing has to be waited for.
http::Spool* spool_of(Request& request, http::Body& body) {
  http::SpoolLimits limits;
  limits.memory_bytes = SIZE_MAX;
  http::Spool* spool = request.arena().make<http::Spool>(request.loop(), body, limits, nullptr);
  Child<Result<Unit>> filling;
  filling.start(spool->fill_all());
  FL_ASSERT(filling.is_done());
  return spool;
}

Wait wait_body(Run& run) {
  if (!run.body_read) run.body_read = std::make_unique<BodyRead>(*run.request());
  BodyRead& read = *run.body_read;
  co_await read.end();
  if (read.failure().fault == Fault::none) co_return 0;
  run.end_from_wait(Ending{Ending::Kind::failed, http::status_of_body_failure(read.failure()), {}, {}});
  co_return 0;
}

constexpr HookSet read_hooks(Hook::server_rewrite, Hook::rewrite, Hook::access, Hook::precontent, Hook::content);

int read_body(lua_State* L) {
  Scope& scope = allowed_scope(L, read_hooks);
  Request& request = *scope.request;
  if (request.spooled_body) return 0;
  const RequestState& state = request.slot<RequestState>();
  if (state.body_is_dropped) request.spooled_body = spool_of(request, *request.arena().make<http::EmptyBody>());
  if (state.body_is_taken) return 0;
  Run& run = *scope.run;
  return run.wait_for(L, [&] { return wait_body(run); });
}

// What nobody reads, the connection drops behind the answer: there is nothing left to read, and there was nothing. An upstream gets none.
int discard_body(lua_State* L) {
  Scope& scope = request_scope(L);
  Request& request = *scope.request;
  if (request.spooled_body || is_reading_body(scope.run)) return 0;
  request.slot<RequestState>().body_is_taken = request.slot<RequestState>().body_is_dropped = true;
  if (!request.head.has_body()) return 0;
  request.head.framing.chunked = false;
  request.head.framing.content_length = 0;
  return 0;
}

int push_nil(lua_State* L) {
  lua_pushnil(L);
  return 1;
}

int get_body_data(lua_State* L) {
  Request& request = request_of(L);
  if (!request.spooled_body || request.spooled_body->size() == 0) return push_nil(L);
  BodyState& state = request.slot<BodyState>();
  if (!state.file.empty()) return push_nil(L);
  if (state.of != request.spooled_body) {
    if (!body_in_memory(request, state.memory)) return push_nil(L);
    state.of = request.spooled_body;
  }
  std::string_view text = state.memory;
  if (lua_isnumber(L, 1)) text = text.substr(0, static_cast<size_t>(std::max<lua_Integer>(0, lua_tointeger(L, 1))));
  push_text(L, text);
  return 1;
}

// Part of the body is in memory, the rest in a file: all of it goes to one without a name. An empty reference: that failed.
FileRef gather_body(Request& request) {
  const char* folder = request.arena().copy_z(conf<http::CoreConf>(request).client_body_temp_path.path);
  int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    request.logger.crit(Errno{errno}, "open() \"{}\" failed", folder);
    return FileRef();
  }
  FileRef gathered = FileRef::adopt(file);
  http::Spool& spool = *request.spooled_body;
  spool.rewind();
  http::Chunk chunk;
  bool good = true;
  while (good && spool.poll(chunk) == http::Poll::ready) {
    if (!chunk.is_file()) good = write(file, chunk.bytes.data, chunk.bytes.size) == static_cast<ssize_t>(chunk.bytes.size);
    auto offset = static_cast<off_t>(chunk.file_offset);
    for (uint64_t left = chunk.is_file() ? chunk.file_bytes : 0; good && left > 0;) {
      ssize_t sent = sendfile(file, chunk.file.fd(), &offset, left);
      good = sent > 0;
      left -= good ? static_cast<uint64_t>(sent) : 0;
    }
  }
  spool.rewind();
  return good ? gathered : FileRef();
}

// A body that was spooled to a file without a name is to be had by the descriptor.
int get_body_file(lua_State* L) {
  Request& request = request_of(L);
  if (!request.spooled_body) return push_nil(L);
  BodyState& state = request.slot<BodyState>();
  if (!state.file.empty()) {
    push_text(L, state.file);
    return 1;
  }
  if (request.spooled_body->is_in_memory()) return push_nil(L);  // a file may also be that of the request that captures this one
  if (!state.gathered) state.gathered = gather_body(request);
  if (!state.gathered) return push_nil(L);
  lua_pushfstring(L, "/proc/%d/fd/%d", static_cast<int>(getpid()), state.gathered.fd());
  return 1;
}

// From now on this is the body, of which nothing has to be waited for.
void use_body(Request& request, http::Body& body, uint64_t bytes) {
  request.spooled_body = spool_of(request, body);
  http::RequestHead& head = request.head;
  head.framing.chunked = false;
  head.framing.content_length = static_cast<int64_t>(bytes);
  head.headers.remove(http::KnownHeader::transfer_encoding);
  head.headers.set(http::KnownHeader::content_length, request.arena().copy(format("{}", bytes)));
  for (std::string_view name : {"content_length", "http_content_length"})
    if (auto index = request.variables().find(name)) request.forget_variable(*index);
}

// By the server, or by a socket that was taken for it: then it may be replaced before its end was read, and what is left of it is dropped
// behind the answer. Also asked of a request without a body: a script that forgets to read fails at once, not with the first request that
// has one.
void must_be_read(lua_State* L, Request& request) {
  const RequestState& state = request.slot<RequestState>();
  bool has_socket = state.body_is_taken && !state.body_is_dropped;
  if (!request.spooled_body && !has_socket) luaL_error(L, "request body not read yet");
}

int set_body_data(lua_State* L) {
  check_count(L, 1, 1, "expecting 1 arguments but seen %d");
  Request& request = request_of(L);
  std::string_view text = check_text(L, 1);
  must_be_read(L, request);
  request.slot<BodyState>().file = {};
  use_body(request, *request.arena().make<http::BytesBody>(Slice(request.arena().copy(text))), text.size());
  return 0;
}

int set_body_file(lua_State* L) {
  check_count(L, 1, 2, "expecting 1 or 2 arguments but seen %d");
  Request& request = request_of(L);
  const char* path = luaL_checkstring(L, 1);
  must_be_read(L, request);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat found;
  if (file < 0 || fstat(file, &found) != 0) {
    if (file >= 0) close(file);
    return luaL_error(L, "stat() \"%s\" failed", path);
  }
  if (lua_toboolean(L, 2)) unlink(path);
  auto bytes = static_cast<uint64_t>(found.st_size);
  std::string_view name = request.slot<BodyState>().file = request.arena().copy(path);
  use_body(request, *request.arena().make<http::FileBody>(FileRef::adopt(file), 0, bytes), bytes);
  request.spooled_body->set_source_file_name(name);
  return 0;
}

int init_body(lua_State* L) {
  Request& request = request_of(L);
  if (lua_gettop(L) > 0 && luaL_checknumber(L, 1) < 0) return luaL_error(L, "bad size argument: %s", lua_tostring(L, 1));
  must_be_read(L, request);
  BodyState& state = request.slot<BodyState>();
  state.building.clear();
  state.is_building = true;
  return 0;
}

int append_body(lua_State* L) {
  check_count(L, 1, 1, "expecting 1 arguments but seen %d");
  Request& request = request_of(L);
  std::string_view text = check_text(L, 1);
  BodyState& state = request.slot<BodyState>();
  if (!state.is_building) return luaL_error(L, "request_body not initialized");
  state.building.push_back(Slice(request.arena().copy(text)));
  return 0;
}

int finish_body(lua_State* L) {
  Request& request = request_of(L);
  BodyState& state = request.slot<BodyState>();
  if (!state.is_building) return luaL_error(L, "request_body not initialized");
  state.is_building = false;
  state.file = {};
  uint64_t bytes = state.building.size();
  use_body(request, *request.arena().make<http::BytesBody>(std::move(state.building)), bytes);
  return 0;
}

constexpr luaL_Reg functions[] = {
    {"read_body", read_body},         {"discard_body", discard_body},   {"get_body_data", get_body_data},
    {"get_body_file", get_body_file}, {"set_body_data", set_body_data}, {"set_body_file", set_body_file},
    {"init_body", init_body},         {"append_body", append_body},     {"finish_body", finish_body},
    {nullptr, nullptr},
};

}  // namespace

void add_body(lua_State* L) {
  lua_getfield(L, -1, "req");
  set_functions(L, functions);
  lua_pop(L, 1);
}

}  // namespace fairlead::lua
