// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_jwt/jwe.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "modules/http_auth_jwt/token.h"

namespace fairlead::http::auth_jwt {
namespace {

using CipherState = std::unique_ptr<EVP_CIPHER_CTX, OpensslFree<EVP_CIPHER_CTX_free>>;
using KeyState = std::unique_ptr<EVP_PKEY_CTX, OpensslFree<EVP_PKEY_CTX_free>>;

constexpr size_t gcm_iv_bytes = 12, tag_bytes = 16, cbc_iv_bytes = 16;

const unsigned char* unsigned_bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* unsigned_bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

// How the key of the content comes to us.
struct KeyMethod {
  enum class Kind : uint8_t { direct, wrapped, gcm_wrapped, oaep } kind;
  std::string_view name;
  size_t key_bytes;               // of the wrapping key
  const EVP_CIPHER* (*cipher)();  // of wrapping
  const EVP_MD* (*digest)();      // of OAEP
};
constexpr KeyMethod key_methods[] = {
    {KeyMethod::Kind::direct, "dir", 0, nullptr, nullptr},
    {KeyMethod::Kind::wrapped, "A128KW", 16, &EVP_aes_128_wrap, nullptr},
    {KeyMethod::Kind::wrapped, "A192KW", 24, &EVP_aes_192_wrap, nullptr},
    {KeyMethod::Kind::wrapped, "A256KW", 32, &EVP_aes_256_wrap, nullptr},
    {KeyMethod::Kind::gcm_wrapped, "A128GCMKW", 16, &EVP_aes_128_gcm, nullptr},
    {KeyMethod::Kind::gcm_wrapped, "A192GCMKW", 24, &EVP_aes_192_gcm, nullptr},
    {KeyMethod::Kind::gcm_wrapped, "A256GCMKW", 32, &EVP_aes_256_gcm, nullptr},
    {KeyMethod::Kind::oaep, "RSA-OAEP", 0, nullptr, &EVP_sha1},
    {KeyMethod::Kind::oaep, "RSA-OAEP-256", 0, nullptr, &EVP_sha256},
    {KeyMethod::Kind::oaep, "RSA-OAEP-384", 0, nullptr, &EVP_sha384},
    {KeyMethod::Kind::oaep, "RSA-OAEP-512", 0, nullptr, &EVP_sha512},
};

// How the content is encrypted.
struct ContentMethod {
  std::string_view name;
  size_t key_bytes;
  const EVP_CIPHER* (*cipher)();
  const EVP_MD* (*digest)();  // of the MAC beside CBC; nullptr: GCM
};
constexpr ContentMethod content_methods[] = {
    {"A128GCM", 16, &EVP_aes_128_gcm, nullptr},
    {"A192GCM", 24, &EVP_aes_192_gcm, nullptr},
    {"A256GCM", 32, &EVP_aes_256_gcm, nullptr},
    {"A128CBC-HS256", 32, &EVP_aes_128_cbc, &EVP_sha256},
    {"A192CBC-HS384", 48, &EVP_aes_192_cbc, &EVP_sha384},
    {"A256CBC-HS512", 64, &EVP_aes_256_cbc, &EVP_sha512},
};

template <class Method, size_t Count>
const Method* find_method(const Method (&methods)[Count], std::string_view name) {
  auto found = std::find_if(std::begin(methods), std::end(methods), [&](const Method& one) { return one.name == name; });
  return found == std::end(methods) ? nullptr : found;
}

// The parts of the token, decoded but for the first, which is authenticated as it came.
struct Parts {
  std::string_view protected_header;
  std::string encrypted_key, iv, ciphertext, tag;
};

std::optional<std::string> open_gcm(const EVP_CIPHER* cipher, std::string_view key, const Parts& parts, std::string_view aad) {
  if (parts.iv.size() != gcm_iv_bytes || parts.tag.size() != tag_bytes) return std::nullopt;
  CipherState state(EVP_CIPHER_CTX_new());
  int size = 0, rest = 0;
  std::string plain(parts.ciphertext.size() + 16, '\0');
  std::string tag = parts.tag;
  const unsigned char* iv = unsigned_bytes(std::string_view(parts.iv));
  bool good = state && EVP_DecryptInit_ex(state.get(), cipher, nullptr, unsigned_bytes(key), iv) == 1;
  if (good && !aad.empty())
    good = EVP_DecryptUpdate(state.get(), nullptr, &size, unsigned_bytes(aad), static_cast<int>(aad.size())) == 1;
  good = good && EVP_DecryptUpdate(state.get(), unsigned_bytes(plain), &size, unsigned_bytes(std::string_view(parts.ciphertext)),
                                   static_cast<int>(parts.ciphertext.size())) == 1;
  good = good && EVP_CIPHER_CTX_ctrl(state.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag_bytes), tag.data()) == 1;
  good = good && EVP_DecryptFinal_ex(state.get(), unsigned_bytes(plain) + size, &rest) == 1;
  if (!good) return std::nullopt;
  plain.resize(static_cast<size_t>(size + rest));
  return plain;
}

// RFC 7518 section 5.2.2.2: the MAC first, and only then the padding.
std::optional<std::string> open_cbc(const ContentMethod& method, std::string_view key, const Parts& parts) {
  size_t half = method.key_bytes / 2;
  if (parts.iv.size() != cbc_iv_bytes || parts.tag.size() != half || parts.ciphertext.empty()) return std::nullopt;
  std::string authenticated = std::string(parts.protected_header) + parts.iv + parts.ciphertext;
  uint64_t header_bits = uint64_t{parts.protected_header.size()} * 8;
  for (int shift = 56; shift >= 0; shift -= 8) authenticated += static_cast<char>(header_bits >> shift & 0xff);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned mac_size = 0;
  if (!HMAC(method.digest(), key.data(), static_cast<int>(half), unsigned_bytes(std::string_view(authenticated)), authenticated.size(), mac,
            &mac_size))
    return std::nullopt;
  if (mac_size < half || CRYPTO_memcmp(mac, parts.tag.data(), half) != 0) return std::nullopt;
  CipherState state(EVP_CIPHER_CTX_new());
  int size = 0, rest = 0;
  std::string plain(parts.ciphertext.size() + 16, '\0');
  bool good = state && EVP_DecryptInit_ex(state.get(), method.cipher(), nullptr, unsigned_bytes(key.substr(half)),
                                          unsigned_bytes(std::string_view(parts.iv))) == 1;
  good = good && EVP_DecryptUpdate(state.get(), unsigned_bytes(plain), &size, unsigned_bytes(std::string_view(parts.ciphertext)),
                                   static_cast<int>(parts.ciphertext.size())) == 1;
  good = good && EVP_DecryptFinal_ex(state.get(), unsigned_bytes(plain) + size, &rest) == 1;
  if (!good) return std::nullopt;
  plain.resize(static_cast<size_t>(size + rest));
  return plain;
}

std::optional<std::string> unwrap(const EVP_CIPHER* cipher, std::string_view key, std::string_view wrapped) {
  if (wrapped.size() < 16 || wrapped.size() % 8 != 0) return std::nullopt;
  CipherState state(EVP_CIPHER_CTX_new());
  if (!state) return std::nullopt;
  EVP_CIPHER_CTX_set_flags(state.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  int size = 0;
  std::string plain(wrapped.size() + 16, '\0');
  if (EVP_DecryptInit_ex(state.get(), cipher, nullptr, unsigned_bytes(key), nullptr) != 1) return std::nullopt;
  if (EVP_DecryptUpdate(state.get(), unsigned_bytes(plain), &size, unsigned_bytes(wrapped), static_cast<int>(wrapped.size())) != 1)
    return std::nullopt;
  plain.resize(static_cast<size_t>(size));
  return plain;
}

std::optional<std::string> open_oaep(const EVP_MD* digest, EVP_PKEY* key, std::string_view encrypted) {
  KeyState state(EVP_PKEY_CTX_new(key, nullptr));
  size_t size = 0;
  bool good = state && EVP_PKEY_decrypt_init(state.get()) == 1 && EVP_PKEY_CTX_set_rsa_padding(state.get(), RSA_PKCS1_OAEP_PADDING) == 1 &&
              EVP_PKEY_CTX_set_rsa_oaep_md(state.get(), digest) == 1 &&
              EVP_PKEY_decrypt(state.get(), nullptr, &size, unsigned_bytes(encrypted), encrypted.size()) == 1;
  if (!good) return std::nullopt;
  std::string plain(size, '\0');
  if (EVP_PKEY_decrypt(state.get(), unsigned_bytes(plain), &size, unsigned_bytes(encrypted), encrypted.size()) != 1) return std::nullopt;
  plain.resize(size);
  return plain;
}

struct Methods {
  const KeyMethod& key;
  const ContentMethod& content;
};

bool fits(const Methods& methods, const Key& key) {
  bool is_oaep = methods.key.kind == KeyMethod::Kind::oaep;
  bool is_direct = methods.key.kind == KeyMethod::Kind::direct;
  if (!key.decrypts || key.kind != (is_oaep ? KeyKind::rsa : KeyKind::secret)) return false;
  if (!key.algorithm.empty() && key.algorithm != methods.key.name && !(is_direct && key.algorithm == methods.content.name)) return false;
  return is_oaep || key.secret.size() == (is_direct ? methods.content.key_bytes : methods.key.key_bytes);
}

std::optional<std::string> content_key(const Methods& methods, const Key& key, const Parts& parts, const Claims& header) {
  switch (methods.key.kind) {
    case KeyMethod::Kind::direct: return parts.encrypted_key.empty() ? std::optional(key.secret) : std::nullopt;
    case KeyMethod::Kind::wrapped: return unwrap(methods.key.cipher(), key.secret, parts.encrypted_key);
    case KeyMethod::Kind::oaep: return open_oaep(methods.key.digest(), key.key.get(), parts.encrypted_key);
    case KeyMethod::Kind::gcm_wrapped: break;
  }
  Parts wrapped;
  wrapped.ciphertext = parts.encrypted_key;
  wrapped.iv = base64_decode(header.string("iv").value_or(std::string_view()), Base64::url).value_or(std::string());
  wrapped.tag = base64_decode(header.string("tag").value_or(std::string_view()), Base64::url).value_or(std::string());
  return open_gcm(methods.key.cipher(), key.secret, wrapped, {});
}

std::optional<std::string> open_with(const Methods& methods, const Key& key, const Parts& parts, const Claims& header) {
  auto secret = content_key(methods, key, parts, header);
  if (!secret || secret->size() != methods.content.key_bytes) return std::nullopt;
  if (methods.content.digest) return open_cbc(methods.content, *secret, parts);
  return open_gcm(methods.content.cipher(), *secret, parts, parts.protected_header);
}

// Five parts between four dots; false: they are not.
bool split(std::string_view text, Parts& parts) {
  std::array<std::string, 4> decoded;
  size_t at = text.find('.');
  if (at == std::string_view::npos) return false;
  parts.protected_header = text.substr(0, at);
  Splitter rest(text.substr(at + 1), '.');
  std::string_view part;
  size_t count = 0;
  for (; rest.next(part); ++count) {
    auto bytes = part.find('=') == std::string_view::npos ? base64_decode(part, Base64::url) : std::nullopt;
    if (count == decoded.size() || !bytes) return false;
    decoded[count] = std::move(*bytes);
  }
  if (count != decoded.size()) return false;
  parts.encrypted_key = std::move(decoded[0]);
  parts.iv = std::move(decoded[1]);
  parts.ciphertext = std::move(decoded[2]);
  parts.tag = std::move(decoded[3]);
  return true;
}

}  // namespace

ConfResult<Decrypted> decrypt_token(std::string_view text, std::span<const KeySetPtr> sets) {
  if (text.size() > token_bytes_max) return std::string("it is too long");
  Parts parts;
  if (!split(text, parts)) return std::string("it has not five parts of base64url");
  auto header_text = base64_decode(parts.protected_header, Base64::url);
  if (!header_text) return std::string("a part is not base64url");
  auto header = Claims::parse(*header_text);
  if (!header) return "header: " + header.error();
  if (header->has("crit")) return std::string("\"crit\" names extensions that are not known");
  if (header->has("zip")) return std::string("compressed tokens are not accepted");
  const KeyMethod* key_method = find_method(key_methods, header->string("alg").value_or(std::string_view()));
  const ContentMethod* content_method = find_method(content_methods, header->string("enc").value_or(std::string_view()));
  if (!key_method || !content_method) return std::string("\"alg\" or \"enc\" is none that is accepted");
  Methods methods{*key_method, *content_method};
  std::string_view wanted = header->string("kid").value_or(std::string_view());
  bool is_known = knows_key(sets, wanted);
  for (const KeySetPtr& set : sets) {
    for (const Key& key : set->keys) {
      if (!may_be_meant(key, wanted, is_known) || !fits(methods, key)) continue;
      auto plain = open_with(methods, key, parts, *header);
      ERR_clear_error();
      if (plain) return Decrypted{std::move(*header), std::move(*plain)};
    }
  }
  return std::string("no key decrypts it");
}

}  // namespace fairlead::http::auth_jwt
