-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- The parts of ngx.re that call functions of a script, which may wait, or that are made of others; and the module of that name.
local ngx = ...
local re_match, sub, concat, type, tostring, error = ngx.re.match, string.sub, table.concat, type, tostring, error

-- -- sub, gsub --

local step = ngx.re._step
ngx.re._step = nil

-- At the line that called whoever calls this.
local function check_text(value, position, name)
  local kind = type(value)
  if kind == "string" or kind == "number" then return end
  error("bad argument #" .. position .. " to '" .. name .. "' (string expected, got " .. kind .. ")", 3)
end

-- A function may wait between two matches, so nothing of them is held but places in the subject.
local function wrap(name, by_text, is_global)
  return function(subject, pattern, replacement, options)
    if type(replacement) ~= "function" then return by_text(subject, pattern, replacement, options) end
    if type(subject) ~= "string" then subject = tostring(subject) end
    check_text(pattern, 2, name)
    if options ~= nil then check_text(options, 4, name) end
    local pieces, size, count, copied, at = {}, 0, 0, 1, 1
    repeat
      local groups, begin, finish, next_at = step(subject, pattern, options, at)
      if groups == nil then
        if begin then return nil, nil, begin end  -- what is wrong
        break
      end
      local text = tostring((replacement(groups)))
      pieces[size + 1], pieces[size + 2] = sub(subject, copied, begin - 1), text
      size, count, copied, at = size + 2, count + 1, finish + 1, next_at
    until not is_global
    pieces[size + 1] = sub(subject, copied)
    return concat(pieces), count
  end
end
ngx.re.sub = wrap("sub", ngx.re.sub, false)
ngx.re.gsub = wrap("gsub", ngx.re.gsub, true)

-- -- split, opt of the module --

-- The piece from `at` on ends before the match behind it. An empty match at its very beginning would end an empty piece: one looks on.
local function next_match(subject, pattern, options, at)
  local place = { pos = at }
  local found, err = re_match(subject, pattern, options, place)
  if found and found[0] == "" and place.pos == at then
    place.pos = at + 1
    found, err = re_match(subject, pattern, options, place)
  end
  if not found then return nil, nil, err end
  return found, place.pos - #found[0]
end

local function split(subject, pattern, options, ctx, max, res)
  if type(subject) ~= "string" then subject = tostring(subject) end
  options, max, res = options or "", max or 0, res or {}
  local at = ctx and ctx.pos or 1
  local size, count = #subject, 0
  if size == 0 then
    res[1] = nil
    return res
  end
  while max <= 0 or count < max - 1 do
    local found, begin, err = next_match(subject, pattern, options, at)
    if err then return nil, err end
    if not found or begin > size then break end
    count = count + 1
    res[count] = sub(subject, at, begin - 1)
    at = begin + #found[0]
    for i = 1, #found do
      if found[i] then
        count = count + 1
        res[count] = found[i]
      end
    end
    if at > size + 1 then break end
  end
  local last = count + 1
  res[last] = sub(subject, at)
  if max <= 0 then  -- empty pieces at the end are dropped, as Perl does
    while last > 0 and res[last] == "" do
      res[last] = nil
      last = last - 1
    end
  end
  res[last + 1] = nil  -- what the caller's table had behind that stays
  return res
end
local module = { version = "0.1.28", split = split, opt = ngx.re._opt }
ngx.re._opt = nil
package.preload["ngx.re"] = function() return module end
