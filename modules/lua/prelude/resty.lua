-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- The parts of "resty.core" that need a request, and ndk.
local ngx = ...
local add_loaded, version = debug.getregistry()["fairlead.add_part"], require("resty.core.base").version

local magic = ngx._magic
ngx._magic = nil

add_loaded("resty.core.ctx", { _VERSION = version, get_ctx_table = magic.getters.ctx })

add_loaded("resty.core.misc", {
  _VERSION = version,
  register_ngx_magic_key_getter = function(key, get) magic.getters[key] = get end,
  register_ngx_magic_key_setter = function(key, set) magic.setters[key] = set end,
})

local set_request_header, add_request_header = ngx.req.set_header, package.preload["ngx.req"]().add_header
add_loaded("resty.core.request", {
  set_req_header = function(name, value, override)
    if override then set_request_header(name, value) else add_request_header(name, value) end
  end,
})

local header, add_response_header = ngx.header, package.preload["ngx.resp"]().add_header
add_loaded("resty.core.response", {
  set_resp_header = function(_, name, value, no_override)
    if no_override then add_response_header(name, value) else header[name] = value end
  end,
})

-- -- ndk: no module has a directive whose function scripts could call --

local set_var = setmetatable({}, {
  __index = function(_, name) error('ndk.set_var: directive "' .. tostring(name) .. '" not found or does not use ndk_set_var_value', 2) end,
})
ndk = { set_var = set_var }
package.loaded.ndk = ndk
package.preload["ndk.set_var"] = function() return set_var end
