-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- Lets requests pass that carry a known key, and tells the upstream whose it is. README.md says how to use it.

local decisions = require "decisions"
local libcrypto = require "libcrypto"
local monotonic = require "monotonic"
local request_memory = require "request_memory"

local _M = {}

local defaults = {
  header = "X-API-Key",
  argument = nil,              -- name of a query argument that may carry the key where the field is absent
  keys = nil,                  -- { KEY = OWNER }
  file = nil,                  -- lines "OWNER:SHA-256 of the key in hexadecimal"; empty ones and those that begin with # do not count
  file_check_s = 10,           -- how old what was read of the file may be
  consumer_header = "X-Consumer",
  hide = true,                 -- whether the upstream does not get the key
  realm = "api",
}

local function options_of(given)
  return given and setmetatable(given, getmetatable(given) or { __index = defaults }) or defaults
end

local files = {}  -- path -> { owners = { digest -> owner }, read_at = s }; one entry per configured path

local function parse(path)
  local file, err = io.open(path)
  if not file then return nil, err end
  local owners, number = {}, 0
  for line in file:lines() do
    number = number + 1
    if line:find("%S") and line:sub(1, 1) ~= "#" then
      local owner, digest = line:match("^([^:]+):(%x+)%s*$")
      if not owner or #digest ~= 64 then
        file:close()
        return nil, path .. ":" .. number .. ": want OWNER:SHA256"
      end
      owners[digest:lower()] = owner
    end
  end
  file:close()
  return owners
end

-- Who owns which digest. A file that became unreadable leaves what was read before.
local function owners_in(path, age_s)
  local known = files[path]
  if known and monotonic.now() - known.read_at < age_s then return known.owners end
  local owners, err = parse(path)
  if not owners then
    ngx.log(ngx.ERR, "api_key: ", err)
    owners = known and known.owners or {}
  end
  files[path] = { owners = owners, read_at = monotonic.now() }
  return owners
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function owner_of(options, key)
  local owner = options.keys and options.keys[key]
  if owner or not options.file then return owner end
  return owners_in(options.file, options.file_check_s)[hex(libcrypto.digest("sha256", key))]
end

local function refuse(options, decision)
  decisions.note("api_key", "", decision, "api_key_decision")
  ngx.header["WWW-Authenticate"] = 'ApiKey realm="' .. options.realm .. '"'
  return ngx.exit(401)
end

local function take_from_header(options)
  local key = ngx.req.get_headers(0)[options.header]
  if key and options.hide then ngx.req.clear_header(options.header) end
  return key
end

local function take_from_argument(options)
  local arguments = ngx.req.get_uri_args(0)
  local key = arguments[options.argument]
  if key and options.hide then
    arguments[options.argument] = nil
    ngx.req.set_uri_args(arguments)
  end
  return key
end

-- What the client sent at a place, also where it was taken out before an internal redirect. Only the key is remembered, not what it was
-- good for: a location that a redirect leads to may have other keys.
local function recall(place, key)
  if key then
    request_memory.of_request("api_key")[place] = key
    return key
  end
  return (request_memory.find("api_key") or {})[place]
end

-- A key that came more than once is none: which one counts would be a guess.
local function take(options)
  local key = recall("header|" .. options.header:lower(), take_from_header(options))
  if key or not options.argument then return key end
  return recall("argument|" .. options.argument, take_from_argument(options))
end

-- For access_by_lua.
function _M.check(options)
  options = options_of(options)
  if not options.keys and not options.file then error("api_key: neither keys nor file is given", 2) end
  local key = take(options)
  ngx.req.clear_header(options.consumer_header)
  if key == nil or key == "" or key == true then return refuse(options, "missing") end
  local owner = type(key) == "string" and owner_of(options, key)
  if not owner then return refuse(options, "unknown") end
  ngx.req.set_header(options.consumer_header, owner)
  ngx.ctx.api_key_owner = owner
  decisions.note("api_key", "", "passed", "api_key_decision")
end

-- For content_by_lua.
function _M.metrics() decisions.metrics("api_key") end

return _M
