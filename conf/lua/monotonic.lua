-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- The clock for spans of time. That of ngx.now() may be set back, by which a stored moment would lie hours ahead; this one never is, and
-- shows all workers the same.

local ffi = require "ffi"

ffi.cdef [[
  struct fairlead_moment { long s; long ns; };
  int fairlead_clock_gettime(int clock, struct fairlead_moment *now) __asm__("clock_gettime");
]]

local clock_monotonic = 1
local C = ffi.C
local moment = ffi.new("struct fairlead_moment")

local _M = {}

-- Seconds since the machine began.
function _M.now()
  C.fairlead_clock_gettime(clock_monotonic, moment)
  return tonumber(moment.s) + tonumber(moment.ns) / 1e9
end

return _M
