-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- Lets requests pass that carry a JSON Web Token (RFC 7519) signed by a known key. README.md says how to use it.

local cjson = require "cjson.safe"
local decisions = require "decisions"
local jwt_keys = require "jwt_keys"
local monotonic = require "monotonic"
local request_memory = require "request_memory"
local decode64 = require("ngx.base64").decode_base64url

local _M = {}

local defaults = {
  secret = nil,                 -- of HS256, HS384 and HS512: at least as many bytes as the digest
  public_key_file = nil,        -- PEM: RS*, PS*, ES*, EdDSA by the kind of key
  jwks_file = nil,              -- a JSON Web Key Set
  file_check_s = 60,            -- how old what was read of a file may be
  algorithms = nil,             -- names, if not all that the keys allow
  issuer = nil,                 -- what `iss` must be
  audience = nil,               -- what `aud` must be or contain
  claims = nil,                 -- { name = value } that must be so; else 403
  expires = true,               -- whether a token without `exp` is refused
  leeway_s = 0,                 -- by how much clocks may differ
  cookie = nil, argument = nil, -- where a token may stand besides `Authorization: Bearer`
  headers = { ["X-User"] = "sub" },  -- fields the upstream gets, of claims that are strings, numbers or booleans
  token_bytes_max = 8192,
  realm = "api",
}

local function options_of(given)
  return given and setmetatable(given, getmetatable(given) or { __index = defaults }) or defaults
end

-- -- keys, made once --

local files = {}    -- path -> { keys = {...}, read_at = s }
local secrets = {}  -- secret -> {...}

local function read(path)
  local file, err = io.open(path, "rb")
  if not file then return nil, err end
  local text = file:read("*a")
  file:close()
  return text
end

local function keys_of_pem(text)
  local key, err = jwt_keys.of_pem(text)
  return key and { key }, err
end

local function keys_in_file(path, parse, age_s)
  local known = files[path]
  if known and monotonic.now() - known.read_at < age_s then return known.keys end
  local text, err = read(path)
  local keys
  if text then
    keys, err = parse(text)
    if keys and err and err ~= "" then ngx.log(ngx.WARN, "jwt: ", path, ": keys passed over: ", err) end
  end
  if not keys then
    ngx.log(ngx.ERR, "jwt: ", path, ": ", err)
    keys = known and known.keys or {}
  end
  files[path] = { keys = keys, read_at = monotonic.now() }
  return keys
end

local function keys_of(options)
  if options.jwks_file then return keys_in_file(options.jwks_file, jwt_keys.of_jwks, options.file_check_s) end
  if options.public_key_file then
    return keys_in_file(options.public_key_file, keys_of_pem, options.file_check_s)
  end
  local secret = options.secret or error("jwt: none of secret, public_key_file and jwks_file is given", 3)
  if not secrets[secret] then
    local key, err = jwt_keys.of_secret(secret)
    if not key then error("jwt: " .. err, 3) end
    secrets[secret] = { key }
  end
  return secrets[secret]
end

-- -- the token --

-- An internal redirect (error_page) leaves no arguments: what was one is remembered.
local function token_in_argument(name)
  local token = ngx.var["arg_" .. name]
  if not token then return (request_memory.find("jwt") or {})[name] end
  request_memory.of_request("jwt")[name] = token
  return token
end

local function token_of(options)
  local authorization = ngx.req.get_headers(0).authorization
  if type(authorization) == "table" then return "" end
  local token = authorization and authorization:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+)%s*$")
  if token then return token end
  return options.cookie and ngx.var["cookie_" .. options.cookie] or options.argument and token_in_argument(options.argument) or nil
end

local function object(encoded)
  local text = decode64(encoded)
  local value = text and cjson.decode(text)
  return type(value) == "table" and value or nil
end

local function has(list, value)
  for _, one_of in ipairs(type(list) == "table" and list or { list }) do
    if one_of == value then return true end
  end
  return false
end

local function audience_fits(want, got)
  for _, one_of in ipairs(type(want) == "table" and want or { want }) do
    if has(got, one_of) then return true end
  end
  return false
end

-- A time of a claim: nil if absent, false if it is no number.
local function time_of(claim)
  if claim == nil then return nil end
  return type(claim) == "number" and claim == claim and claim
end

local exact_max = 2 ^ 53  -- from here on different whole numbers of a token are the same to Lua

local function is_exact(number) return number > -exact_max and number < exact_max end

-- What is wrong with the claims by the clock and the options, or nil.
local function fault_of(options, claims)
  local now = ngx.time()
  local expires, starts = time_of(claims.exp), time_of(claims.nbf)
  if expires == false or starts == false then return "malformed" end
  if expires == nil and options.expires then return "refused" end
  if expires and now >= expires + options.leeway_s then return "expired" end
  if starts and now < starts - options.leeway_s then return "not_yet" end
  if options.issuer and claims.iss ~= options.issuer then return "refused" end
  if options.audience and not audience_fits(options.audience, claims.aud) then return "refused" end
  for name, value in pairs(options.claims or {}) do
    local claim = claims[name]
    if type(claim) == "number" and not is_exact(claim) then return "malformed" end
    if claim ~= value then return "forbidden" end
  end
end

-- The claims, or nil and the decision. Nothing of a token is believed before its signature is known to be good.
local function examine(options, token)
  if #token > options.token_bytes_max then return nil, "malformed" end
  local head, body, signature = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
  local header = head and object(head)
  signature = signature and decode64(signature)
  if not header or not signature or type(header.alg) ~= "string" then return nil, "malformed" end
  if header.crit ~= nil then return nil, "malformed" end  -- RFC 7515, 4.1.11: an extension that is not understood
  if options.algorithms and not has(options.algorithms, header.alg) then return nil, "unknown_key" end
  local verdict = jwt_keys.verify(keys_of(options), header.alg, header.kid, head .. "." .. body, signature)
  if verdict ~= "good" then return nil, verdict end
  local claims = object(body)
  if not claims then return nil, "malformed" end
  local fault = fault_of(options, claims)
  if fault then return nil, fault end
  return claims
end

-- A number as the text that stands for it and no other, or nil.
local function text_of_number(number)
  if not is_exact(number) then return nil end
  if number % 1 == 0 then return ("%.0f"):format(number + 0) end  -- no "-0"
  local text = tostring(number)
  return tonumber(text) == number and text or ("%.17g"):format(number)
end

-- The fields that the upstream gets, or nil if a claim has no exact text.
local function fields_of(options, claims)
  local fields = {}
  for field, name in pairs(options.headers) do
    local value = claims[name]
    if type(value) == "number" then
      value = text_of_number(value)
      if not value then return nil end
    end
    if type(value) == "string" or type(value) == "boolean" then fields[field] = tostring(value) end
  end
  return fields
end

local function refuse(options, decision)
  decisions.note("jwt", "", decision, "jwt_decision")
  local what = ""
  if decision == "forbidden" then
    what = ', error="insufficient_scope"'
  elseif decision ~= "missing" then
    what = ', error="invalid_token", error_description="' .. decision .. '"'
  end
  ngx.header["WWW-Authenticate"] = 'Bearer realm="' .. options.realm .. '"' .. what
  return ngx.exit(decision == "forbidden" and 403 or 401)
end

-- For access_by_lua.
function _M.check(options)
  options = options_of(options)
  for field in pairs(options.headers) do ngx.req.clear_header(field) end
  local token = token_of(options)
  if not token then return refuse(options, "missing") end
  local claims, fault = examine(options, token)
  if not claims then return refuse(options, fault) end
  local fields = fields_of(options, claims)
  if not fields then return refuse(options, "malformed") end
  for field, text in pairs(fields) do ngx.req.set_header(field, text) end
  ngx.ctx.jwt = claims
  decisions.note("jwt", "", "passed", "jwt_decision")
end

-- For content_by_lua.
function _M.metrics() decisions.metrics("jwt") end

return _M
