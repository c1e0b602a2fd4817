// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/body_filter.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "modules/lua/hooks.h"
#include "modules/lua/machine.h"
#include "modules/lua/vm.h"

namespace fairlead::lua {

using http::Chunk;
using http::Poll;

static constexpr lua_Integer failure_returned = -1;  // ngx.ERROR

bool BodyFilter::read_file(Chunk& chunk) {
  size_t bytes = static_cast<size_t>(std::min<uint64_t>(file_.file_bytes, file_piece_bytes));
  SegmentRef segment = SegmentRef::make(bytes);
  ssize_t got = pread(file_.file.fd(), segment->bytes(), bytes, static_cast<off_t>(file_.file_offset));
  if (got <= 0) {
    failed_ = true;
    failure_ = Error{Fault::closed, Side::local, 0, "file was truncated while it was sent"};
    if (got < 0) failure_ = Error::from_errno(errno, "pread() failed");
    return false;
  }
  file_.file_offset += static_cast<uint64_t>(got);
  file_.file_bytes -= static_cast<uint64_t>(got);
  if (file_.file_bytes == 0) file_.clear();
  const char* at = segment->bytes();
  chunk.clear();
  chunk.bytes = Slice(std::move(segment), at, static_cast<size_t>(got));
  return true;
}

// The next bytes in memory.
Poll BodyFilter::take(Chunk& chunk) {
  if (!file_.is_file()) {
    Poll polled = source_->poll(chunk);
    if (polled != Poll::ready || !chunk.is_file()) return polled;
    file_ = std::move(chunk);
  }
  return read_file(chunk) ? Poll::ready : Poll::failed;
}

Poll BodyFilter::poll(Chunk& chunk) {
  while (!ended_ && !failed_) {
    Poll polled = take(chunk);
    if (polled == Poll::pending || polled == Poll::failed) return polled;
    bool last = polled == Poll::end;
    if (last) chunk.clear();
    else last = !file_.is_file() && source_->size() == 0;
    bool is_end = last;
    if (!run(chunk, last)) return Poll::failed;
    ended_ = last || is_end;  // a script may end a body early, not take back its end
    if (!chunk.bytes.empty()) return Poll::ready;
  }
  return failed_ ? Poll::failed : Poll::end;
}

// ngx.arg[1] and [2] lie in a table of the scope. False: the script failed, or said so: it returned ngx.ERROR or the status of one.
bool BodyFilter::run(Chunk& chunk, bool& last) {
  http::While doing(request_, request_.tries ? std::string_view("sending to client") : request_.doing);
  Vm& vm = vm_of(request_);
  lua_State* L = vm.main();
  Scope scope(vm, Hook::body_filter, &request_, request_.logger);
  scope.arg_ref = vm.push_arg_table(L);
  push_text(L, chunk.bytes.view());
  lua_rawseti(L, -2, 1);
  lua_pushboolean(L, last);
  lua_rawseti(L, -2, 2);
  bool good = run_plain(scope, script_, 1);
  if (good) {
    lua_Integer returned = lua_tointeger(L, -1);
    lua_pop(L, 1);
    good = returned != failure_returned && returned < 300;
    if (!good) scope.logger.info("body_filter_by_lua* breaks the response off by returning {}", returned);
  }
  if (good) {
    lua_rawgeti(L, -1, 2);
    last = lua_toboolean(L, -1);
    lua_rawgeti(L, -2, 1);  // nothing, a text or a number
    size_t bytes = 0;
    const char* at = lua_tolstring(L, -1, &bytes);
    std::string_view text(at ? at : "", bytes);
    if (chunk.bytes.view() != text) chunk.bytes = text.empty() ? Slice() : Slice::copy_of(text);
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  vm.give_arg_table(L, scope.arg_ref);
  if (good) return true;
  failed_ = true;
  failure_ = Error{Fault::denied, Side::local, 0, ""};  // the log has it
  return false;
}

}  // namespace fairlead::lua
