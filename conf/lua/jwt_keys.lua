-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- Keys of JSON Web Tokens: from options, PEM or a JSON Web Key Set (RFC 7517) to something that verifies, and which algorithm (RFC 7518, 3;
-- RFC 8037) each may be used with. A key is bound to its kind, so that no header of a token makes a public key a secret.

local cjson = require "cjson.safe"
local libcrypto = require "libcrypto"
local decode64 = require("ngx.base64").decode_base64url

local _M = {}

local keys_max = 100         -- of one set
local rsa_bits_min = 2048    -- RFC 7518, 3.3

-- kind: of the key; digest; scalar_size: bytes of each half of an ECDSA signature.
local algorithms = {
  HS256 = { kind = "secret", digest = "sha256", size = 32 },
  HS384 = { kind = "secret", digest = "sha384", size = 48 },
  HS512 = { kind = "secret", digest = "sha512", size = 64 },
  RS256 = { kind = "RSA", digest = "sha256" },
  RS384 = { kind = "RSA", digest = "sha384" },
  RS512 = { kind = "RSA", digest = "sha512" },
  PS256 = { kind = "RSA", digest = "sha256", pss = true },
  PS384 = { kind = "RSA", digest = "sha384", pss = true },
  PS512 = { kind = "RSA", digest = "sha512", pss = true },
  ES256 = { kind = "EC", group = "prime256v1", digest = "sha256", scalar_size = 32 },
  ES384 = { kind = "EC", group = "secp384r1", digest = "sha384", scalar_size = 48 },
  ES512 = { kind = "EC", group = "secp521r1", digest = "sha512", scalar_size = 66 },
  EdDSA = { kind = "Ed" },
}

-- -- DER, as much as a public key and a signature take (X.690) --

local function tagged(tag, content)
  local size = #content
  local length
  if size < 128 then
    length = string.char(size)
  elseif size < 256 then
    length = string.char(0x81, size)
  else
    length = string.char(0x82, math.floor(size / 256), size % 256)
  end
  return string.char(tag) .. length .. content
end

local function integer(bytes)
  bytes = bytes:gsub("^%z+", "")
  if bytes == "" or bytes:byte() >= 0x80 then bytes = "\0" .. bytes end
  return tagged(0x02, bytes)
end

local function public_key_info(algorithm, bits)
  return tagged(0x30, tagged(0x30, algorithm) .. tagged(0x03, "\0" .. bits))
end

local oid_rsa = "\6\9\42\134\72\134\247\13\1\1\1\5\0"
local oid_ec = "\6\7\42\134\72\206\61\2\1"
local curves = {
  ["P-256"] = { oid = "\6\8\42\134\72\206\61\3\1\7", size = 32 },
  ["P-384"] = { oid = "\6\5\43\129\4\0\34", size = 48 },
  ["P-521"] = { oid = "\6\5\43\129\4\0\35", size = 66 },
}
local edwards = { Ed25519 = { oid = "\6\3\43\101\112", size = 32 }, Ed448 = { oid = "\6\3\43\101\113", size = 57 } }

-- -- keys --

local function field(jwk, name)
  return type(jwk[name]) == "string" and decode64(jwk[name]) or nil
end

local makers = {
  RSA = function(jwk)
    local n, e = field(jwk, "n"), field(jwk, "e")
    if not n or not e or #n > 2048 or #e > 8 then return nil, "bad n or e" end
    return libcrypto.key_of_der(public_key_info(oid_rsa, tagged(0x30, integer(n) .. integer(e))))
  end,
  EC = function(jwk)
    local curve, x, y = curves[jwk.crv], field(jwk, "x"), field(jwk, "y")
    if not curve or not x or not y or #x ~= curve.size or #y ~= curve.size then return nil, "bad crv, x or y" end
    return libcrypto.key_of_der(public_key_info(oid_ec .. curve.oid, "\4" .. x .. y))
  end,
  OKP = function(jwk)
    local curve, x = edwards[jwk.crv], field(jwk, "x")
    if not curve or not x or #x ~= curve.size then return nil, "bad crv or x" end
    return libcrypto.key_of_der(public_key_info(curve.oid, x))
  end,
  oct = function(jwk)
    local secret = field(jwk, "k")
    if not secret then return nil, "bad k" end
    return { type = "secret", secret = secret }
  end,
}

local function finish(key, err, alg, kid)
  if not key then return nil, err end
  if key.type == "RSA" and key.bits < rsa_bits_min then return nil, "an RSA key of less than " .. rsa_bits_min .. " bits" end
  if key.type == "secret" and #key.secret < 32 then return nil, "a secret of less than 32 bytes" end
  if alg ~= nil and not algorithms[alg] then return nil, "unknown algorithm " .. tostring(alg) end
  key.alg, key.kid = alg, kid
  return key
end

function _M.of_secret(secret) return finish({ type = "secret", secret = secret }) end

function _M.of_pem(text)
  local key, err = libcrypto.key_of_pem(text)
  return finish(key, err)
end

-- The usable keys of a JWK set's text, or `nil, err`. Those that sign nothing or are of unknown kinds are passed over, as RFC 7517, 5
-- wants.
function _M.of_jwks(text)
  local set = cjson.decode(text)
  if type(set) ~= "table" or type(set.keys) ~= "table" then return nil, "no JWK set" end
  if #set.keys > keys_max then return nil, "more than " .. keys_max .. " keys" end
  local keys, passed_over = {}, {}
  for i, jwk in ipairs(set.keys) do
    local make = type(jwk) == "table" and (jwk.use == nil or jwk.use == "sig") and makers[jwk.kty]
    local key, err
    if make then
      key, err = make(jwk)
      key, err = finish(key, err, jwk.alg, jwk.kid)
    end
    if key then
      keys[#keys + 1] = key
    else
      passed_over[#passed_over + 1] = i .. ": " .. (err or "not for signatures, or of an unknown kind")
    end
  end
  return keys, table.concat(passed_over, "; ")
end

-- Whether the key may be used with the algorithm: of its kind, its curve, and the one the set names if it names one.
local function fits(key, name, algorithm)
  if key.alg and key.alg ~= name then return false end
  if algorithm.kind == "Ed" then return key.type == "Ed25519" or key.type == "Ed448" end
  if key.type ~= algorithm.kind or algorithm.group ~= key.group then return false end
  return key.type ~= "secret" or #key.secret >= algorithm.size
end

-- ECDSA signatures are two numbers of fixed size in a token, a DER sequence in OpenSSL.
local function der_signature(bytes, size)
  return tagged(0x30, integer(bytes:sub(1, size)) .. integer(bytes:sub(size + 1)))
end

local function verifies(key, algorithm, signed, signature)
  if key.type == "secret" then return libcrypto.equal(libcrypto.hmac(algorithm.digest, key.secret, signed), signature) end
  if algorithm.scalar_size then
    if #signature ~= 2 * algorithm.scalar_size then return false end
    signature = der_signature(signature, algorithm.scalar_size)
  end
  return libcrypto.verify(key, algorithm.digest, signature, signed, algorithm.pss)
end

-- Whether one of the keys signed the text: "good", "bad_signature", or "unknown_key" if none may be asked. `none` is no algorithm here.
function _M.verify(keys, name, kid, signed, signature)
  local algorithm = algorithms[name]
  local found = "unknown_key"
  for _, key in ipairs(algorithm and keys or {}) do
    if fits(key, name, algorithm) and (kid == nil or key.kid == nil or key.kid == kid) then
      if verifies(key, algorithm, signed, signature) then return "good" end
      found = "bad_signature"
    end
  end
  return found
end

return _M
