-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- What the policies need of OpenSSL 3's libcrypto: digests, HMAC, and signatures by public keys. The declarations have names of their own,
-- so that they never meet those of other libraries. A call that fails leaves nothing in OpenSSL's error queue: TLS of the same thread reads
-- it.

local ffi = require "ffi"

ffi.cdef [[
  const void *fairlead_digest_named(const char *name) __asm__("EVP_get_digestbyname");
  int fairlead_digest(const void *bytes, size_t size, unsigned char *out, unsigned int *out_size, const void *digest, void *engine)
    __asm__("EVP_Digest");
  unsigned char *fairlead_hmac(const void *digest, const void *key, int key_size, const char *bytes, size_t size,
    unsigned char *out, unsigned int *out_size) __asm__("HMAC");
  int fairlead_memory_differs(const void *a, const void *b, size_t size) __asm__("CRYPTO_memcmp");
  void fairlead_clear_errors(void) __asm__("ERR_clear_error");

  void *fairlead_bio_of(const void *bytes, int size) __asm__("BIO_new_mem_buf");
  int fairlead_bio_free(void *bio) __asm__("BIO_free");
  void *fairlead_key_of_pem(void *bio, void **key, void *password, void *argument) __asm__("PEM_read_bio_PUBKEY");
  void *fairlead_key_of_der(void **key, const unsigned char **bytes, long size) __asm__("d2i_PUBKEY");
  void fairlead_key_free(void *key) __asm__("EVP_PKEY_free");
  int fairlead_key_type(const void *key) __asm__("EVP_PKEY_get_base_id");
  int fairlead_key_bits(const void *key) __asm__("EVP_PKEY_get_bits");
  int fairlead_key_group(const void *key, char *name, size_t size, size_t *length) __asm__("EVP_PKEY_get_group_name");

  void *fairlead_verify_new(void) __asm__("EVP_MD_CTX_new");
  void fairlead_verify_free(void *verify) __asm__("EVP_MD_CTX_free");
  int fairlead_verify_start(void *verify, void **settings, const void *digest, void *engine, void *key) __asm__("EVP_DigestVerifyInit");
  int fairlead_verify(void *verify, const char *signature, size_t signature_size, const char *bytes, size_t size)
    __asm__("EVP_DigestVerify");
  int fairlead_set_padding(void *settings, int padding) __asm__("EVP_PKEY_CTX_set_rsa_padding");
  int fairlead_set_salt(void *settings, int size) __asm__("EVP_PKEY_CTX_set_rsa_pss_saltlen");
]]

local C = ffi.C
local out, out_size = ffi.new("unsigned char[64]"), ffi.new("unsigned int[1]")

local _M = {}

local function digest_named(name)
  local digest = C.fairlead_digest_named(name)
  if digest == nil then error("libcrypto: no digest " .. name, 3) end
  return digest
end

-- The digest ("sha256") of a text, as bytes.
function _M.digest(name, text)
  if C.fairlead_digest(text, #text, out, out_size, digest_named(name), nil) ~= 1 then error("libcrypto: digest failed", 2) end
  return ffi.string(out, out_size[0])
end

function _M.hmac(name, key, text)
  if C.fairlead_hmac(digest_named(name), key, #key, text, #text, out, out_size) == nil then error("libcrypto: hmac failed", 2) end
  return ffi.string(out, out_size[0])
end

-- Whether two texts are equal; takes as long wherever they differ. Their sizes are no secret.
function _M.equal(a, b)
  return #a == #b and C.fairlead_memory_differs(a, b, #a) == 0
end

local types = { [6] = "RSA", [408] = "EC", [1087] = "Ed25519", [1088] = "Ed448" }

-- A public key with its facts: `type`, `bits`, and `group` (OpenSSL's name of the curve) of an EC key.
local function wrap(handle)
  if handle == nil then
    C.fairlead_clear_errors()
    return nil, "no public key"
  end
  local key = { handle = ffi.gc(handle, C.fairlead_key_free), bits = C.fairlead_key_bits(handle) }
  key.type = types[C.fairlead_key_type(handle)]
  if not key.type then return nil, "unknown type of key" end
  if key.type == "EC" then
    local name, length = ffi.new("char[64]"), ffi.new("size_t[1]")
    if C.fairlead_key_group(handle, name, 64, length) ~= 1 then
      C.fairlead_clear_errors()
      return nil, "a curve without a name"
    end
    key.group = ffi.string(name, length[0])
  end
  return key
end

-- The key in a text with "-----BEGIN PUBLIC KEY-----", or `nil, err`.
function _M.key_of_pem(text)
  local bio = C.fairlead_bio_of(text, #text)
  if bio == nil then return nil, "no memory" end
  local handle = C.fairlead_key_of_pem(bio, nil, nil, nil)
  C.fairlead_bio_free(bio)
  return wrap(handle)
end

-- The key in the bytes of a SubjectPublicKeyInfo (RFC 5280, 4.1), or `nil, err`.
function _M.key_of_der(bytes)
  local at = ffi.new("const unsigned char *[1]", { ffi.cast("const unsigned char *", bytes) })
  return wrap(C.fairlead_key_of_der(nil, at, #bytes))
end

local RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST = 6, -1

-- Whether `signature` is that of the key over the text. `digest` is nil for Ed25519 and Ed448; `pss` asks for RSASSA-PSS.
function _M.verify(key, digest, signature, text, pss)
  local verify = C.fairlead_verify_new()
  if verify == nil then error("libcrypto: no memory", 2) end
  local settings = ffi.new("void *[1]")
  local good = C.fairlead_verify_start(verify, settings, digest and digest_named(digest), nil, key.handle) == 1
  if good and pss then
    good = C.fairlead_set_padding(settings[0], RSA_PKCS1_PSS_PADDING) == 1 and C.fairlead_set_salt(settings[0], RSA_PSS_SALTLEN_DIGEST) == 1
  end
  good = good and C.fairlead_verify(verify, signature, #signature, text, #text) == 1
  C.fairlead_verify_free(verify)
  C.fairlead_clear_errors()
  return good
end

return _M
