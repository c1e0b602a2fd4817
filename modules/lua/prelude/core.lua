-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- What require "resty.core" and those of its parts give that every machine has, those of ngx.run_worker_thread too. Their effect is there
-- from the start; here are the functions and the types for FFI that libraries take from them.
local ngx = ...
local ffi = require "ffi"
local cast, new = ffi.cast, ffi.new
local find, gsub = string.find, string.gsub

local version = "0.1.28"

local function add(name, module)
  package.preload[name] = function() return module end
end

-- As after require "resty.core", which the original does by itself: some look for these in package.loaded.
local function add_loaded(name, module)
  module = module or {}
  module.version = version
  add(name, module)
  package.loaded[name] = module
end

debug.getregistry()["fairlead.add_part"] = add_loaded

ffi.cdef [[
typedef struct { size_t len; const unsigned char *data; } ngx_str_t;
typedef struct { int len; const unsigned char *data; } ngx_http_lua_ffi_str_t;
typedef struct ngx_http_request_s ngx_http_request_t;
typedef intptr_t ngx_int_t;
]]

-- -- base --

local voidp, bytes, sizes, pointers = ffi.typeof "void *", ffi.typeof "char[?]", ffi.typeof "size_t[1]",
  ffi.typeof "unsigned char *[1]"
local request = ngx._get_request  -- on other threads there is none
ngx._get_request = nil
local string_buf, string_buf_size, size_ptr, errmsg_ptr = nil, 4096, nil, nil

local function get_string_buf(size, must_alloc)
  if size > string_buf_size or must_alloc then return new(bytes, size) end
  string_buf = string_buf or new(bytes, string_buf_size)
  return string_buf
end

add_loaded("resty.core.base", {
  new_tab = table.new,
  clear_tab = table.clear,
  FFI_OK = 0, FFI_ERROR = -1, FFI_AGAIN = -2, FFI_BUSY = -3, FFI_DONE = -4, FFI_DECLINED = -5,
  FFI_NO_REQ_CTX = -100, FFI_BAD_CONTEXT = -101,
  -- Tells requests (and timers) apart, and no more: it points at nothing that a library of the original could use.
  get_request = function()
    local found = request and request()
    return found and cast(voidp, found)
  end,
  get_string_buf_size = function() return string_buf_size end,
  set_string_buf_size = function(size)
    string_buf, string_buf_size = nil, size
  end,
  get_string_buf = get_string_buf,
  get_size_ptr = function()
    size_ptr = size_ptr or new(sizes)
    return size_ptr
  end,
  get_errmsg_ptr = function()
    errmsg_ptr = errmsg_ptr or new(pointers)
    return errmsg_ptr
  end,
  ref_in_table = function(t, value)
    if value == nil then return -1 end
    local ref = #t + 1
    t[ref] = value
    return ref
  end,
  allows_subsystem = function(...)
    for i = 1, select("#", ...) do
      if select(i, ...) == "http" then return end
    end
    error("unsupported subsystem: http", 2)
  end,
  subsystem = "http",
})

-- -- the others --

add_loaded("resty.core.regex", { re_match_compile = ngx.re._compile, is_regex_cache_empty = ngx.re._is_cache_empty })
ngx.re._compile, ngx.re._is_cache_empty = nil, nil

add_loaded("resty.core.time", { monotonic_msec = ngx._monotonic_msec, monotonic_time = ngx._monotonic_time })
ngx._monotonic_msec, ngx._monotonic_time = nil, nil

add_loaded("resty.core.utils", {
  -- `what` is one character.
  str_replace_char = function(text, what, with)
    if not find(text, what, 1, true) then return text end
    return (gsub(text, (gsub(what, "%p", "%%%0")), (gsub(with, "%%", "%%%%"))))
  end,
})

add_loaded("resty.core.worker", { _VERSION = version })
for _, name in ipairs { "shdict", "uri", "base64", "hash", "var", "phase", "exit", "socket", "ndk", "param", "coroutine" } do
  add_loaded("resty.core." .. name)
end
add("resty.core.socket.tcp", { version = version })
add_loaded("resty.core")
