// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What Lua remembers of a request between its hooks: ngx.ctx, what was printed. A slot of the request, in its arena.
#pragma once

#include <lua.hpp>

#include <memory>

#include "core/base/list.h"

namespace fairlead::http { class Request; }

namespace fairlead::lua {

class Output;
class Vm;

// Something of the request's that Lua holds by a userdata (a socket): it is closed when the request ends, whenever Lua collects it.
class Owned : public Link {
 public:
  virtual void close_for_end() = 0;

 protected:
  ~Owned() = default;
};

struct RequestState {
  RequestState() = default;
  ~RequestState();
  RequestState(const RequestState&) = delete;
  RequestState& operator=(const RequestState&) = delete;

  // A new ngx.ctx begins.
  void drop_ctx();

  std::shared_ptr<Vm> own_vm;  // with lua_code_cache off
  Vm* vm = nullptr;            // of ctx_ref
  int ctx_ref = LUA_NOREF;
  int ctx_redirects = 0;       // internal ones: each begins a new ngx.ctx
  Output* output = nullptr;
  uint16_t said_status = 0;    // by which a script refused; 0: none did
  bool no_type = false;        // the script took the default Content-Type away
  bool is_raw = false;         // the connection was handed to the script (ngx.req.socket(true))
  bool body_is_taken = false;  // a socket reads it (ngx.req.socket()), or nobody does
  bool body_is_dropped = false;  // nobody does (ngx.req.discard_body())
  bool filter_refused = false; // a header filter made another response of this one: it is not asked again
  List<Owned> owned;
};

// The request's output, made at its first use.
Output& output_of(http::Request& request);

}  // namespace fairlead::lua
