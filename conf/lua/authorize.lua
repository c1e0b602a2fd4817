-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- Asks a policy service whether a request may pass, in the manner of Open Policy Agent: POST {"input": {...}}, answer {"result": true} or
-- {"result": {"allow": true, "headers": {...}, "status": 403, "body": "..."}}. Answers may be cached. README.md says how to use it.

local cjson = require "cjson.safe"
local decisions = require "decisions"
local monotonic = require "monotonic"

local _M = {}

local defaults = {
  url = "http://127.0.0.1:8181/v1/data/http/authz",
  timeout_ms = 1000,
  fail_open = false,      -- what holds when the service does not answer
  cache_s = 0,            -- how long an answer holds, in the dictionary `authorize`; 0: each request asks
  cache_fields = nil,     -- names of request fields the answer depends on (besides method, path and address); nil: authorization, cookie
  clear_fields = nil,     -- names of request fields that only the service may set
  response_bytes_max = 65536,
}

local function options_of(given)
  return given and setmetatable(given, getmetatable(given) or { __index = defaults }) or defaults
end

local function input_of()
  local headers = {}
  for name, value in pairs(ngx.req.get_headers(0)) do headers[name] = value end
  return {
    method = ngx.req.get_method(),
    path = ngx.var.uri,
    query = ngx.req.get_uri_args(0),
    headers = headers,
    source = { address = ngx.var.remote_addr },
  }
end

-- Reads a body by its length or in chunks.
local function read_body(socket, headers, most)
  local coding = headers["transfer-encoding"]
  if coding and coding:lower() ~= "chunked" then return nil, "unknown transfer coding" end
  if not coding then
    local length = tonumber((headers["content-length"] or ""):match("^%d+$"))
    if not length then return nil, "no length" end
    if length > most then return nil, "answer too long" end
    return length == 0 and "" or socket:receive(length)
  end
  local pieces, total = {}, 0
  while true do
    local line, err = socket:receive()
    if not line then return nil, err end
    local size = tonumber(line:match("^%x+") or "", 16)
    if not size then return nil, "bad chunk" end
    total = total + size
    if total > most then return nil, "answer too long" end
    if size == 0 then
      repeat line, err = socket:receive() until not line or line == ""
      return line and table.concat(pieces), err
    end
    pieces[#pieces + 1], err = socket:receive(size)
    if err then return nil, err end
    socket:receive(2)
  end
end

-- Whether the connection goes on after an answer with these fields.
local function is_kept(version, headers)
  local wish = "," .. (headers.connection or ""):lower():gsub("%s", "") .. ","
  return version ~= "0" and not wish:find(",close,", 1, true)
end

local function exchange(socket, options, host, path, body)
  local sent, err = socket:send {
    "POST ", path, " HTTP/1.1\r\nHost: ", host, "\r\nContent-Type: application/json\r\nContent-Length: ", #body, "\r\n\r\n", body,
  }
  if not sent then return nil, err end
  local line
  line, err = socket:receive()
  if not line then return nil, err end
  local version, status = line:match("^HTTP/1%.(%d) (%d%d%d)")
  if not status then return nil, "bad status line" end
  local headers = {}
  for number = 1, 101 do
    line, err = socket:receive()
    if not line then return nil, err end
    if line == "" then break end
    if number > 100 then return nil, "too many header fields" end
    local name, value = line:match("^([^:]+):%s*(.-)%s*$")
    if name then headers[name:lower()] = value end
  end
  local answer
  answer, err = read_body(socket, headers, options.response_bytes_max)
  if not answer then return nil, err end
  if is_kept(version, headers) then socket:setkeepalive() else socket:close() end
  return answer, tonumber(status)
end

-- A connection of the pool may have been closed just then: a question on one that broke off is asked again on another.
local function post(options, body)
  local host, port, path = options.url:match("^http://([^/:]+):?(%d*)(/.*)$")
  if not host then error("authorize: bad url " .. tostring(options.url), 4) end
  while true do
    local socket = ngx.socket.tcp()
    socket:settimeout(options.timeout_ms)
    local ok, err = socket:connect(host, tonumber(port) or 80)
    if not ok then return nil, err end
    local was_idle = socket:getreusedtimes() > 0
    local answer, said = exchange(socket, options, host, path, body)  -- its status, or what went wrong
    if answer and said ~= 200 then return nil, "status " .. said end
    if answer then return answer end
    socket:close()
    if not was_idle or said == "timeout" then return nil, said end
  end
end

local function ask(options, input)
  local answer, err = post(options, cjson.encode { input = input })
  if not answer then return nil, err end
  local decoded = cjson.decode(answer)
  if type(decoded) ~= "table" then return nil, "answer is no JSON object" end
  local result = decoded.result
  if type(result) == "boolean" then return { allow = result } end
  if type(result) == "table" then return result end
  return { allow = false }  -- the policy has no opinion: undefined is no
end

local function cache_key(options, input)
  local parts = { options.url, input.method, input.path, ngx.var.args or "", input.source.address }
  for _, name in ipairs(options.cache_fields or { "authorization", "cookie" }) do
    local value = input.headers[name]
    parts[#parts + 1] = type(value) == "table" and table.concat(value, "\1") or tostring(value)
  end
  return ngx.md5(table.concat(parts, "\0"))
end

-- The answer kept under `key`, or nil. It has a time of its own: that of the dictionary goes by the clock of the day, which may be set
-- back.
local function recall(d, key, cache_s)
  local kept = cjson.decode(d:get(key) or "")
  if type(kept) ~= "table" or type(kept.till) ~= "number" then return nil end
  local left = kept.till - monotonic.now()
  return left > 0 and left <= cache_s and kept.result or nil
end

local function decide(decision)
  ngx.ctx.authorization = decision
  decisions.note("authorize", "", decision, "authorization_decision")
end

-- A denial is a redirect or an error, whatever the service says: 0 would let the request pass, 200 would look like success.
local function status_of(result)
  local status = tonumber(result.status)
  return status and status >= 300 and status <= 599 and status % 1 == 0 and status or 403
end

local function apply(result, how)
  if result.allow == true then
    for name, value in pairs(type(result.headers) == "table" and result.headers or {}) do ngx.req.set_header(name, value) end
    return decide("allowed" .. how)
  end
  decide("denied" .. how)
  ngx.status = status_of(result)
  if type(result.body) == "string" then
    ngx.say(result.body)
    return ngx.exit(ngx.HTTP_OK)
  end
  return ngx.exit(ngx.status)
end

-- For access_by_lua.
function _M.check(options)
  options = options_of(options)
  for _, name in ipairs(options.clear_fields or {}) do ngx.req.clear_header(name) end
  local input = input_of()
  local d = options.cache_s > 0 and (ngx.shared.authorize or error("authorize: lua_shared_dict authorize is missing", 2))
  local key = d and cache_key(options, input)
  local known = d and recall(d, key, options.cache_s)
  if known then return apply(known, "_cached") end
  local result, err = ask(options, input)
  if result then
    if d then d:set(key, cjson.encode { result = result, till = monotonic.now() + options.cache_s }, options.cache_s) end
    return apply(result, "")
  end
  ngx.log(ngx.ERR, "authorize: no answer from ", options.url, ": ", err)
  if options.fail_open then return decide("failed_open") end
  decide("failed_closed")
  return ngx.exit(503)
end

-- For content_by_lua: what was decided, as Prometheus reads it.
function _M.metrics() decisions.metrics("authorize") end

return _M
