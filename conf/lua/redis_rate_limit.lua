-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- A token bucket per client that all machines share: it lies in Redis, which decides by its own clock. README.md says how to use it.

local decisions = require "decisions"
local monotonic = require "monotonic"
local rate_limit = require "rate_limit"
local redis = require "redis"
local request_memory = require "request_memory"

local _M = {}

local defaults = {
  rate = 10, burst = 20, cost = 1, key = nil, status = 429, headers = true,  -- as for rate_limit
  fail_open = true,    -- whether requests pass when Redis does not answer
  host = "127.0.0.1",  -- or "unix:PATH"
  port = 6379,
  user = nil, password = nil, database = 0,
  prefix = "rate_limit|",
  timeout_ms = 100,    -- for connecting, sending and each read
  pool_size = 30,
  pause_s = 1,         -- for how long a worker does not ask again after Redis did not answer
}

local function options_of(given)
  return given and setmetatable(given, getmetatable(given) or { __index = defaults }) or defaults
end

-- The bucket is the moment at which it will be full, in microseconds of the server's clock. One that lacks more than it holds (the clock
-- was set back) is empty. Answers {1, microseconds it lacks until full}
-- or {0, microseconds until there are enough tokens}.
local script = [[
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local step, depth = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or now), now), now + depth) + step
if full_at - now > depth then return {0, full_at - depth - now} end
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return {1, full_at - now}
]]
local script_name  -- its SHA-1, by which Redis knows it once it has seen it

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function run(connection, key, step, depth)
  script_name = script_name or hex(ngx.sha1_bin(script))
  local reply, err, said = redis.ask(connection, { "EVALSHA", script_name, 1, key, step, depth })
  if said and err:find("^NOSCRIPT") then reply, err, said = redis.ask(connection, { "EVAL", script, 1, key, step, depth }) end
  if reply or said then redis.release(connection) end
  if reply and (type(reply) ~= "table" or type(reply[1]) ~= "number" or type(reply[2]) ~= "number") then return nil, "unexpected reply" end
  return reply, err
end

local quiet_until = {}  -- "host:port" -> when this worker asks again, by the monotonic clock

-- Gives {1 or 0, microseconds}, or nil, an error, and whether that was not worth a try.
local function ask(options, key)
  local server = options.host .. ":" .. options.port
  if (quiet_until[server] or 0) > monotonic.now() then return nil, "no answer a moment ago", true end
  local connection, err = redis.open(options)
  local reply
  if connection then
    local step_us = options.cost / options.rate * 1e6
    reply, err = run(connection, key, math.max(1, math.floor(step_us)), math.floor(options.burst / options.rate * 1e6))
  end
  if reply then
    quiet_until[server] = nil
    return reply
  end
  quiet_until[server] = monotonic.now() + options.pause_s
  return nil, err
end

-- For access_by_lua. `name` tells limits apart: each has buckets of its own. As with rate_limit, a request asks once for a bucket.
function _M.check(name, options)
  options = options_of(options)
  rate_limit.examine("redis_rate_limit", name, options)
  local key = options.prefix .. name .. "|" .. (options.key or ngx.var.remote_addr)
  local asked = request_memory.of_request("redis_rate_limit")
  if asked[key] then return decisions.tell(asked[key], "redis_rate_limit_decision") end
  local function decide(decision)
    asked[key] = decision
    decisions.note("redis_rate_limit", name, decision, "redis_rate_limit_decision")
  end
  local reply, err, quiet = ask(options, key)
  if not reply then
    if not quiet then ngx.log(ngx.ERR, "redis_rate_limit \"", name, "\": ", options.host, ":", options.port, ": ", err) end
    if options.fail_open then return decide("failed_open") end
    decide("failed_closed")
    return ngx.exit(503)
  end
  local seconds = reply[2] / 1e6
  if reply[1] == 1 then
    rate_limit.tell(options, options.burst - seconds * options.rate, 0)
    return decide("passed")
  end
  decide("refused")
  rate_limit.tell(options, 0, seconds)
  return ngx.exit(options.status)
end

-- For content_by_lua.
function _M.metrics() decisions.metrics("redis_rate_limit") end

return _M
