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
#include <optional>
#include <string>
#include <vector>

#include "core/base/format.h"
#include "event/file/spool_file.h"
#include "http/conf/core_conf.h"
#include "http/request/read_body.h"
#include "http/request/request.h"
#include "http/request/spool.h"
#include "modules/lua/api.h"
#include "modules/lua/body_read.h"
#include "modules/lua/request_state.h"
#include "modules/lua/run.h"

namespace fairlead::lua {

using http::Request;

namespace {

// A body that is made of pieces: once more of it is there than `memory_max` bytes, all of it goes to a file.
struct BuiltBody {
  explicit BuiltBody(size_t most) : memory_max(most) {}
  size_t memory_max;
  std::string text;  // what the file does not have yet
  std::optional<OpenedSpool> file;
  uint64_t file_bytes = 0;
};

// What a script has made of the body, and is making of it.
struct BodyState {
  std::vector<OpenedSpool> files;  // gone with the request
  std::optional<BuiltBody> built;  // init_body, append_body
};

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
  if (state.body_is_dropped) http::give_body(request, *request.arena().make<http::EmptyBody>());
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

// The body as scripts see it. nullptr: it has not been read, or another one is being made in its
// place.
http::Spool* known_body(Request& request) {
  return request.spooled_body && !request.slot<BodyState>().built ? request.spooled_body : nullptr;
}

int get_body_data(lua_State* L) {
  Request& request = request_of(L);
  http::Spool* body = known_body(request);
  if (!body || !body->is_in_memory()) return push_nil(L);
  std::string_view text = body->text(request.arena());
  if (text.empty()) return push_nil(L);
  if (lua_isnumber(L, 1)) text = text.substr(0, static_cast<size_t>(std::max<lua_Integer>(0, lua_tointeger(L, 1))));
  push_text(L, text);
  return 1;
}

bool write_text(int file, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = write(file, text.data(), text.size());
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

bool write_chunk(int file, const http::Chunk& chunk) {
  if (!chunk.is_file()) return write_text(file, chunk.bytes.view());
  auto offset = static_cast<off_t>(chunk.file_offset);
  for (uint64_t left = chunk.file_bytes; left > 0;) {
    ssize_t sent = sendfile(file, chunk.file.fd(), &offset, left);
    if (sent <= 0) return false;
    left -= static_cast<uint64_t>(sent);
  }
  return true;
}

std::optional<OpenedSpool> open_body_file(Request& request) {
  const http::TempPath& place = conf<http::CoreConf>(request).client_body_temp_path;
  auto opened = open_spool_now(SpoolPath{std::string(place.path), {place.levels[0], place.levels[1], place.levels[2]}});
  if (opened) return std::move(*opened);
  request.logger.crit(Errno{opened.error().sys}, "{}", opened.error().what);
  return std::nullopt;
}

void log_failed_write(Request& request, const OpenedSpool& file) {
  request.logger.crit(Errno{errno}, "writing the request body to \"{}\" failed", file.name);
}

// The body, which may lie in part in memory, in part in files without names, in one file that a script can read, move and link. Empty: that
// failed.
std::string_view gather_body(Request& request) {
  auto opened = open_body_file(request);
  if (!opened) return {};
  for (const http::Chunk& chunk : request.spooled_body->kept()) {
    if (write_chunk(opened->file.fd(), chunk)) continue;
    log_failed_write(request, *opened);
    return {};
  }
  std::string_view name = request.arena().copy(opened->name);
  request.slot<BodyState>().files.push_back(std::move(*opened));
  request.spooled_body->set_whole_file_name(name);
  return name;
}

int get_body_file(lua_State* L) {
  Request& request = request_of(L);
  http::Spool* body = known_body(request);
  if (!body) return push_nil(L);
  std::string_view name = body->whole_file_name();
  // A file may also be that of the request that captures this one.
  if (name.empty() && !body->is_in_memory()) name = gather_body(request);
  if (name.empty()) return push_nil(L);
  push_text(L, name);
  return 1;
}

// From now on this is the body, of which nothing has to be waited for.
void use_body(Request& request, http::Body& body, uint64_t bytes) {
  request.slot<BodyState>().built.reset();
  http::give_body(request, body);
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
  auto bytes = static_cast<uint64_t>(found.st_size);
  FileRef opened = FileRef::adopt(file);
  if (lua_toboolean(L, 2)) request.slot<BodyState>().files.emplace_back(opened, path, true);
  use_body(request, *request.arena().make<http::FileBody>(std::move(opened), 0, bytes), bytes);
  request.spooled_body->set_whole_file_name(request.arena().copy(path));
  return 0;
}

// False, here and below: it could not be written, and the log says why.
bool write_out(Request& request, BuiltBody& built, std::string_view text) {
  if (!built.file) {
    auto opened = open_body_file(request);
    if (!opened) return false;
    built.file.emplace(std::move(*opened));
    request.logger.warn("a client request body is buffered to a temporary file {}", built.file->name);
  }
  built.file_bytes += text.size();
  if (write_text(built.file->file.fd(), text)) return true;
  log_failed_write(request, *built.file);
  return false;
}

bool append(Request& request, BuiltBody& built, std::string_view text) {
  if (text.size() <= built.memory_max - built.text.size()) {
    built.text += text;
    return true;
  }
  if (!write_out(request, built, built.text)) return false;
  built.text.clear();
  return write_out(request, built, text);
}

bool use_built_body(Request& request, BuiltBody built) {
  if (!built.file) {
    use_body(request, *request.arena().make<http::BytesBody>(Slice::copy_of(built.text)), built.text.size());
    return true;
  }
  if (!write_out(request, built, built.text)) return false;
  OpenedSpool& file = *built.file;
  use_body(request, *request.arena().make<http::FileBody>(file.file, 0u, built.file_bytes), built.file_bytes);
  request.spooled_body->set_whole_file_name(request.arena().copy(file.name));
  file.unlink_at_end = conf<http::CoreConf>(request).client_body_in_file_only != http::BodyInFile::on;
  request.slot<BodyState>().files.push_back(std::move(file));
  return true;
}

size_t memory_of_built_body(lua_State* L, const http::CoreConf& core) {
  size_t bytes = core.client_body_buffer_size.bytes;
  if (lua_gettop(L) > 0) {
    lua_Number given = luaL_checknumber(L, 1);
    if (!(given >= 0)) luaL_error(L, "bad size argument: %s", lua_tostring(L, 1));
    bytes = static_cast<size_t>(std::min<lua_Number>(given, 1 << 30));
  }
  return core.client_body_in_file_only == http::BodyInFile::off ? bytes : 0;
}

int init_body(lua_State* L) {
  check_count(L, 0, 1, "expecting 0 or 1 argument but seen %d");
  Request& request = request_of(L);
  size_t memory_max = memory_of_built_body(L, conf<http::CoreConf>(request));
  must_be_read(L, request);
  request.slot<BodyState>().built.emplace(memory_max);
  return 0;
}

int append_body(lua_State* L) {
  check_count(L, 1, 1, "expecting 1 arguments but seen %d");
  Request& request = request_of(L);
  std::string_view text = check_text(L, 1);
  auto& built = request.slot<BodyState>().built;
  if (!built) return luaL_error(L, "request_body not initialized");
  if (append(request, *built, text)) return 0;
  built.reset();  // a piece is missing
  return luaL_error(L, "fail to write file");
}

int finish_body(lua_State* L) {
  Request& request = request_of(L);
  auto& built = request.slot<BodyState>().built;
  if (!built) return luaL_error(L, "request_body not initialized");
  BuiltBody whole = std::move(*built);
  built.reset();
  bool is_used = use_built_body(request, std::move(whole));
  if (!is_used) return luaL_error(L, "fail to write file");
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
