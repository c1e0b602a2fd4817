-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- Changes header fields and bodies of responses on their way to the client. README.md says how to use it.
--
-- Texts are replaced as the body passes; what could be the beginning of one is held back until the next piece. Patterns need the whole
-- body: it is kept up to `bytes_max`, and passes as it is if it turns out longer.

local decisions = require "decisions"

local _M = {}

local concat, sub, find = table.concat, string.sub, string.find

local head_defaults = {
  set = nil,                     -- { name = value }; in place of what there was
  add = nil,                     -- { name = value }; beside it
  remove = nil,                  -- { name, ... }
  status = nil,                  -- { [from] = to }
  body = false,                  -- whether body() follows: then length, validators and ranges of the old body go
  types = { "text/html" },       -- what body() changes: media types, or "*"
}

local body_defaults = {
  replace = nil,                 -- { { text, by }, ... }: the first that fits at a place
  patterns = nil,                -- { { regular expression, by as of ngx.re.gsub }, ... }
  append = nil,                  -- a text behind the last byte
  bytes_max = 1048576,
}

local function options_of(given, defaults)
  given = given or {}
  return setmetatable(given, getmetatable(given) or { __index = defaults })
end

local function note(decision) decisions.note("rewrite_response", "", decision, "rewrite_decision") end

local function has_type(types)
  local media = (ngx.header.content_type or ""):lower():match("^[^;%s]*")
  for _, wanted in ipairs(types) do
    if wanted == "*" or wanted == media then return true end
  end
  return false
end

-- Whether body() will change this response: only bytes that are the document's own can be.
local function prepare_body(options)
  if not has_type(options.types) then return note("untouched") end
  if ngx.header.content_encoding or ngx.status == 206 then return note("skipped") end
  ngx.ctx.rewrite_response = {}
  ngx.header.content_length = nil
  ngx.header.accept_ranges = nil
  ngx.header.last_modified = nil
  local tag = ngx.header.etag
  if type(tag) == "string" and not find(tag, "^W/") then ngx.header.etag = "W/" .. tag end
  if ngx.req.get_method() == "HEAD" then note("head") end
end

-- For header_filter_by_lua.
function _M.head(options)
  options = options_of(options, head_defaults)
  local status = options.status and options.status[ngx.status]
  if status then ngx.status = status end
  for _, name in ipairs(options.remove or {}) do ngx.header[name] = nil end
  for name, value in pairs(options.set or {}) do ngx.header[name] = value end
  local add = options.add and require("ngx.resp").add_header
  for name, value in pairs(options.add or {}) do add(name, value) end
  if options.body then return prepare_body(options) end
  note("head")
end

-- -- texts in a stream --

-- Where the first of the texts begins at or behind `at`, and which; where two begin together, the one that is named first. `places` keeps
-- what was found of each, so that a text is looked for once per place and not once per match of another.
local function first_of(replace, text, at, places)
  local best, which
  for i, pair in ipairs(replace) do
    if places[i] == nil or places[i] and places[i] < at then places[i] = find(text, pair[1], at, true) or false end
    if places[i] and (not best or places[i] < best) then best, which = places[i], pair end
  end
  return best, which
end

-- How many bytes at the end of `text`, behind `at`, could be the beginning of one of the texts.
local function held_back(replace, text, at)
  local most = 0
  for _, pair in ipairs(replace) do
    for size = math.min(#pair[1] - 1, #text - at + 1), most + 1, -1 do
      if sub(text, -size) == sub(pair[1], 1, size) then
        most = size
        break
      end
    end
  end
  return most
end

local function replace_in(replace, state, piece, is_last)
  local text = (state.rest or "") .. piece
  local out, at, places = {}, 1, {}
  while true do
    local held = is_last and 0 or held_back(replace, text, at)
    local found, pair = first_of(replace, text, at, places)
    -- One that begins where an earlier-named longer one might still begin waits with it.
    if not found or found > #text - held then
      out[#out + 1] = sub(text, at, #text - held)
      state.rest = sub(text, #text - held + 1)
      return concat(out)
    end
    out[#out + 1] = sub(text, at, found - 1)
    out[#out + 1] = pair[2]
    at = found + #pair[1]
    state.found = true
  end
end

-- -- patterns over a whole body --

local function gather(options, state, piece, is_last)
  state.kept = state.kept or {}
  state.size = (state.size or 0) + #piece
  state.kept[#state.kept + 1] = piece
  if state.size > options.bytes_max then
    state.passed_on = true
    return concat(state.kept)
  end
  if not is_last then return "" end
  local body = concat(state.kept)
  for _, pair in ipairs(options.patterns) do
    local changed, count, err = ngx.re.gsub(body, pair[1], pair[2], "jo")
    if err then
      ngx.log(ngx.ERR, "rewrite_response: ", pair[1], ": ", err)
    elseif count > 0 then
      body, state.found = changed, true
    end
  end
  return body
end

-- For body_filter_by_lua.
function _M.body(options)
  local state = ngx.ctx.rewrite_response
  if not state or state.is_over then return end
  options = options_of(options, body_defaults)
  for _, pair in ipairs(options.replace or {}) do
    if pair[1] == "" then error("rewrite_response: an empty text to replace", 2) end
  end
  local piece, is_last = ngx.arg[1], ngx.arg[2]
  if options.patterns and not state.passed_on then piece = gather(options, state, piece, is_last) end
  if options.replace then piece = replace_in(options.replace, state, piece, is_last) end
  if is_last then
    if options.append then piece = piece .. options.append end
    state.is_over = true
    note(state.passed_on and "too_long" or (state.found or options.append) and "rewritten" or "untouched")
  end
  ngx.arg[1] = piece
end

-- For content_by_lua.
function _M.metrics() decisions.metrics("rewrite_response") end

return _M
