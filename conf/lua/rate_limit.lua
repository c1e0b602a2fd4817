-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- A token bucket per client, shared by all workers. README.md says how to use it.
--
-- A bucket is one number in the dictionary `rate_limit`: when it will be full again (seconds since 1970), which says how many tokens it
-- lacks. Taking a token moves that moment by 1/rate in one atomic `incr`; a bucket that is full has no entry. Workers that meet between the
-- `incr` and the `expire` after it may give or take one token.

local decisions = require "decisions"

local _M = {}

local ceil, floor, max = math.ceil, math.floor, math.max

local defaults = {
  rate = 10,          -- tokens a second that flow in
  burst = 20,         -- tokens the bucket holds
  cost = 1,           -- tokens a request takes
  key = nil,          -- a text: who shares a bucket; the client's address if absent
  status = 429,
  fail_open = true,   -- whether requests pass when the dictionary has no room
  headers = true,     -- whether RateLimit-* say how things are
}

local function options_of(given)
  return given and setmetatable(given, getmetatable(given) or { __index = defaults }) or defaults
end

-- Takes `cost` tokens of a bucket. Gives whether they were there, how many are left (or how many seconds until they will be), or nil and an
-- error.
function _M.take(d, key, options)
  local step = options.cost / options.rate
  local depth = options.burst / options.rate
  local now = ngx.now()
  local full_at, err = d:incr(key, step, now, depth)
  if not full_at then return nil, err end
  if full_at < now + step then  -- it has been full for a while and the entry is only late to go
    full_at = now + step
    d:set(key, full_at, step)
  end
  if full_at - now > depth + 1e-6 then
    d:incr(key, -step)
    return false, full_at - depth - now
  end
  d:expire(key, full_at - now)
  return true, (depth - (full_at - now)) * options.rate
end

-- What a client is told: draft-ietf-httpapi-ratelimit-headers as far as servers agree on it.
function _M.tell(options, left, wait_s)
  if options.headers then
    ngx.header["RateLimit-Limit"] = options.burst
    ngx.header["RateLimit-Remaining"] = max(0, floor(left + 1e-6))
    ngx.header["RateLimit-Reset"] = ceil(wait_s > 0 and wait_s or (options.burst - left) / options.rate)
  end
  if wait_s > 0 then ngx.header["Retry-After"] = max(1, ceil(wait_s)) end
end

-- For access_by_lua. `name` tells limits apart: each has buckets of its own.
function _M.check(name, options)
  options = options_of(options)
  local d = ngx.shared.rate_limit or error("rate_limit: lua_shared_dict rate_limit is missing", 2)
  local passes, left = _M.take(d, name .. "|" .. (options.key or ngx.var.remote_addr), options)
  if passes then
    _M.tell(options, left, 0)
    return decisions.note("rate_limit", name, "passed", "rate_limit_decision")
  end
  if passes == false then
    decisions.note("rate_limit", name, "refused", "rate_limit_decision")
    _M.tell(options, 0, left)
    return ngx.exit(options.status)
  end
  ngx.log(ngx.ERR, "rate_limit \"", name, "\": ", left)
  if options.fail_open then return decisions.note("rate_limit", name, "failed_open", "rate_limit_decision") end
  decisions.note("rate_limit", name, "failed_closed", "rate_limit_decision")
  return ngx.exit(503)
end

-- For content_by_lua.
function _M.metrics() decisions.metrics("rate_limit") end

return _M
