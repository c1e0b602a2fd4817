// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Keys as RFC 7517 and 7518 write them: a set of JSON Web Keys to keys that OpenSSL verifies or decrypts with. No state, no event loop: fit
// for a file thread. Private to this folder.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "event/tls/openssl.h"

namespace fairlead::http::auth_jwt {

// A set with more keys is refused: a token that names none is tried with all that may have signed it.
constexpr size_t keys_max = 256;
// Of an RSA modulus. Shorter ones are no protection (RFC 7518 section 3.3), longer ones cost a worker too much time per token.
constexpr size_t rsa_bits_min = 2048, rsa_bits_max = 8192;

enum class KeyKind : uint8_t { secret, rsa, p256, p384, p521, ed25519, ed448 };

struct Key {
  KeyKind kind;
  std::string id;         // "kid"; empty: it has none
  std::string algorithm;  // "alg", the only one it may be used with; empty: any of its kind
  std::string secret;     // of KeyKind::secret
  KeyPtr key;             // of the others
  bool verifies = false, decrypts = false;  // what it may be used for and can do
};

struct KeySet {
  std::vector<Key> keys;
  size_t left_out = 0;  // keys that are for something else, or that we cannot use (RFC 7517 section 5)
  std::string left_out_reason;  // of the last of them
  std::string text;     // what it was made from
};
using KeySetPtr = std::shared_ptr<const KeySet>;

// Whether some key has this name. Nothing has no name.
bool knows_key(std::span<const KeySetPtr> sets, std::string_view id);
// Whether a token that names the key `wanted` (empty: none) may mean this one. If no key has the name, those without any may be meant.
bool may_be_meant(const Key& key, std::string_view wanted, bool is_known);

// A text {"keys": [...]}. Keys that cannot be used are left out; a set in which none is left is an error. The error is a reason.
ConfResult<KeySetPtr> parse_key_set(std::string_view text);

}  // namespace fairlead::http::auth_jwt
