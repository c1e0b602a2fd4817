-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- As much of a Redis client as the policies need: RESP 2 over pooled sockets. A connection whose exchange broke off is closed, never
-- pooled: what comes next on it would be the answer to another question.

local _M = {}

local text_bytes_max, array_items_max, depth_max = 1048576, 1024, 4

local function encode(words)
  local pieces = { "*", #words, "\r\n" }
  for _, word in ipairs(words) do
    word = tostring(word)
    pieces[#pieces + 1] = "$" .. #word .. "\r\n"
    pieces[#pieces + 1] = word
    pieces[#pieces + 1] = "\r\n"
  end
  return pieces
end

local function read_text(socket, size)
  if not size or size > text_bytes_max then return nil, "bad length" end
  if size < 0 then return false end
  local text, err = socket:receive(size)
  if not text then return nil, err end
  local line_end
  line_end, err = socket:receive(2)
  if line_end ~= "\r\n" then return nil, err or "bad end of text" end
  return text
end

local read_reply

local function read_array(socket, count, depth)
  if not count or count > array_items_max or depth >= depth_max then return nil, "bad array" end
  if count < 0 then return false end
  local items = {}
  for i = 1, count do
    local item, err, said = read_reply(socket, depth + 1)
    if item == nil and not said then return nil, err end
    items[i] = item == nil and { error = err } or item
  end
  return items
end

-- A reply: a text, a number, an array, `false` for none. An error of the server is `nil, text, true`; of the connection `nil, err`.
function read_reply(socket, depth)
  local line, err = socket:receive()
  if not line then return nil, err end
  local kind, rest = line:sub(1, 1), line:sub(2)
  if kind == "+" then return rest end
  if kind == "-" then return nil, rest, true end
  if kind == ":" then
    local number = tonumber(rest)
    if not number then return nil, "bad number" end
    return number
  end
  if kind == "$" then return read_text(socket, tonumber(rest)) end
  if kind == "*" then return read_array(socket, tonumber(rest), depth) end
  return nil, "no reply of Redis"
end

local function exchange(socket, words)
  local sent, err = socket:send(encode(words))
  if not sent then return nil, err end
  return read_reply(socket, 0)
end

-- A fresh connection says who it is and which database it wants.
local function introduce(socket, options)
  local ok, err = true, nil
  if options.password then
    ok, err = exchange(socket, options.user and { "AUTH", options.user, options.password } or { "AUTH", options.password })
  end
  if ok and (options.database or 0) ~= 0 then ok, err = exchange(socket, { "SELECT", options.database }) end
  return ok, err
end

local function connect(socket, options)
  -- A connection is only for those who know its password, which the name of the pool does not tell.
  local secret = options.password and ngx.encode_base64(ngx.sha1_bin(options.password)) or ""
  local pool = table.concat({ options.host, options.port, options.user or "", secret, options.database or 0 }, "|")
  if options.host:sub(1, 5) == "unix:" then return socket:connect(options.host, { pool = pool, pool_size = options.pool_size }) end
  return socket:connect(options.host, options.port, { pool = pool, pool_size = options.pool_size })
end

-- Connects by `host`, `port`, `timeout_ms`, `user`, `password`, `database`, `pool_size`. Gives something to `ask` and `release`, or `nil,
-- err`.
function _M.open(options)
  local socket = ngx.socket.tcp()
  socket:settimeout(options.timeout_ms)
  local ok, err = connect(socket, options)
  if not ok then return nil, err end
  if socket:getreusedtimes() == 0 then
    ok, err = introduce(socket, options)
    if not ok then
      socket:close()
      return nil, err
    end
  end
  return socket
end

-- One command: its reply, or `nil, err, said` with whether the server said the error. After an error it did not say, the connection is
-- closed.
function _M.ask(socket, words)
  local reply, err, said = exchange(socket, words)
  if reply == nil and not said then socket:close() end
  return reply, err, said
end

function _M.release(socket, idle_ms) socket:setkeepalive(idle_ms or 10000) end

return _M
