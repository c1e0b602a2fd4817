// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_jwt/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/encoding.h"
#include "core/base/format.h"
#include "modules/http_auth_jwt/claims.h"

namespace fairlead::http::auth_jwt {
namespace {

using Json = nlohmann::json;
using Number = std::unique_ptr<BIGNUM, OpensslFree<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, OpensslFree<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, OpensslFree<OSSL_PARAM_free>>;
using KeyMaker = std::unique_ptr<EVP_PKEY_CTX, OpensslFree<EVP_PKEY_CTX_free>>;

std::string_view text_of(const Json& jwk, const char* name) {
  auto found = jwk.find(name);
  return found != jwk.end() && found->is_string() ? std::string_view(*found->get_ptr<const Json::string_t*>()) : std::string_view();
}

// Empty if it is not there, empty, or no base64url.
std::string bytes_of(const Json& jwk, const char* name) { return base64_decode(text_of(jwk, name), Base64::url).value_or(std::string()); }

const unsigned char* unsigned_bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// `selection`: of which parts of a key the parameters are.
KeyPtr make_key(const char* type, OSSL_PARAM_BLD* builder, int selection = EVP_PKEY_PUBLIC_KEY) {
  Params params(OSSL_PARAM_BLD_to_param(builder));
  KeyMaker maker(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !maker || EVP_PKEY_fromdata_init(maker.get()) != 1) return nullptr;
  if (EVP_PKEY_fromdata(maker.get(), &key, selection, params.get()) != 1) return nullptr;
  return KeyPtr(key);
}

// Each gives the reason why the key is no use, empty if it is one.

// Numbers of a key, kept until its parameters were made.
class Numbers {
 public:
  // False: the member is not there, or too long.
  bool push(const Json& jwk, const char* member, const char* parameter) {
    std::string bytes = bytes_of(jwk, member);
    if (bytes.empty() || bytes.size() > rsa_bits_max / 8 + 1 || !builder_) return false;
    Number number(BN_bin2bn(unsigned_bytes(bytes), static_cast<int>(bytes.size()), nullptr));
    if (!number || !OSSL_PARAM_BLD_push_BN(builder_.get(), parameter, number.get())) return false;
    numbers_.push_back(std::move(number));
    return true;
  }
  const BIGNUM* operator[](size_t index) const { return numbers_[index].get(); }
  OSSL_PARAM_BLD* builder() const { return builder_.get(); }

 private:
  Builder builder_{OSSL_PARAM_BLD_new()};
  std::vector<Number> numbers_;
};

std::string read_rsa(const Json& jwk, Key& key) {
  Numbers numbers;
  if (!numbers.push(jwk, "n", OSSL_PKEY_PARAM_RSA_N) || !numbers.push(jwk, "e", OSSL_PKEY_PARAM_RSA_E))
    return "\"n\" or \"e\" is not there or too long";
  auto bits = static_cast<size_t>(BN_num_bits(numbers[0]));
  if (bits < rsa_bits_min || bits > rsa_bits_max) return format("the RSA key has {} bits", bits);
  if (BN_num_bits(numbers[1]) > 64) return "the exponent of the RSA key is too long";
  int selection = EVP_PKEY_PUBLIC_KEY;
  if (numbers.push(jwk, "d", OSSL_PKEY_PARAM_RSA_D)) {
    selection = EVP_PKEY_KEYPAIR;
    key.decrypts = true;
    bool has_all = numbers.push(jwk, "p", OSSL_PKEY_PARAM_RSA_FACTOR1) && numbers.push(jwk, "q", OSSL_PKEY_PARAM_RSA_FACTOR2) &&
                   numbers.push(jwk, "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1) && numbers.push(jwk, "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2) &&
                   numbers.push(jwk, "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
    if (!has_all) return "the private RSA key is not complete";
  }
  key.kind = KeyKind::rsa;
  key.key = make_key("RSA", numbers.builder(), selection);
  return key.key ? "" : "the RSA key is not valid";
}

struct Curve {
  std::string_view name;
  const char* openssl_name;
  KeyKind kind;
  size_t bytes;  // of a coordinate
};
constexpr Curve curves[] = {{"P-256", "prime256v1", KeyKind::p256, 32},
                            {"P-384", "secp384r1", KeyKind::p384, 48},
                            {"P-521", "secp521r1", KeyKind::p521, 66}};

std::string read_ec(const Json& jwk, Key& key) {
  auto curve = std::find_if(std::begin(curves), std::end(curves), [&](const Curve& one) { return one.name == text_of(jwk, "crv"); });
  if (curve == std::end(curves)) return "\"crv\" is not one of P-256, P-384, P-521";
  std::string x = bytes_of(jwk, "x"), y = bytes_of(jwk, "y");
  if (x.size() != curve->bytes || y.size() != curve->bytes) return "\"x\" or \"y\" has not the length of the curve";
  std::string point = '\x04' + x + y;  // uncompressed
  Builder builder(OSSL_PARAM_BLD_new());
  if (!builder || !OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->openssl_name, 0) ||
      !OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()))
    return "memory";
  key.kind = curve->kind;
  key.key = make_key("EC", builder.get());
  return key.key ? "" : "the point is not on the curve";
}

std::string read_okp(const Json& jwk, Key& key) {
  bool is_25519 = text_of(jwk, "crv") == "Ed25519";
  if (!is_25519 && text_of(jwk, "crv") != "Ed448") return "\"crv\" is not one of Ed25519, Ed448";
  std::string x = bytes_of(jwk, "x");
  key.kind = is_25519 ? KeyKind::ed25519 : KeyKind::ed448;
  key.key.reset(EVP_PKEY_new_raw_public_key(is_25519 ? EVP_PKEY_ED25519 : EVP_PKEY_ED448, nullptr, unsigned_bytes(x), x.size()));
  return key.key ? "" : "\"x\" is not a public key of the curve";
}

std::string read_secret(const Json& jwk, Key& key) {
  key.kind = KeyKind::secret;
  key.secret = bytes_of(jwk, "k");
  key.decrypts = true;
  return key.secret.empty() ? "\"k\" is not there" : "";
}

// "use" and "key_ops" (RFC 7517 sections 4.2 and 4.3), where they are there.
bool is_for(const Json& jwk, std::string_view use, std::initializer_list<std::string_view> operations) {
  if (jwk.contains("use") && text_of(jwk, "use") != use) return false;
  auto given = jwk.find("key_ops");
  if (given == jwk.end()) return true;
  if (!given->is_array()) return false;
  return std::any_of(given->begin(), given->end(), [&](const Json& one) {
    auto* text = one.get_ptr<const Json::string_t*>();
    return text && std::find(operations.begin(), operations.end(), *text) != operations.end();
  });
}

std::string read_kind(const Json& jwk, Key& key) {
  std::string_view type = text_of(jwk, "kty");
  if (type == "RSA") return read_rsa(jwk, key);
  if (type == "EC") return read_ec(jwk, key);
  if (type == "OKP") return read_okp(jwk, key);
  if (type == "oct") return read_secret(jwk, key);
  return "\"kty\" is not one of RSA, EC, OKP, oct";
}

std::string read_key(const Json& jwk, Key& key) {
  if (!jwk.is_object()) return "a key is no JSON object";
  key.id = text_of(jwk, "kid");
  key.algorithm = text_of(jwk, "alg");
  std::string reason = read_kind(jwk, key);
  if (!reason.empty()) return reason;
  key.verifies = is_for(jwk, "sig", {"verify"});
  key.decrypts = key.decrypts && is_for(jwk, "enc", {"decrypt", "unwrapKey"});
  return key.verifies || key.decrypts ? "" : "\"use\" or \"key_ops\" says that it is for something else";
}

}  // namespace

bool knows_key(std::span<const KeySetPtr> sets, std::string_view id) {
  if (id.empty()) return false;
  for (const KeySetPtr& set : sets)
    for (const Key& key : set->keys)
      if (key.id == id) return true;
  return false;
}

bool may_be_meant(const Key& key, std::string_view wanted, bool is_known) {
  return wanted.empty() || key.id == (is_known ? wanted : std::string_view());
}

ConfResult<KeySetPtr> parse_key_set(std::string_view text) {
  if (json_depth(text) > json_depth_max) return std::string("it nests too deeply");
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return std::string("it is not JSON");
  auto keys = json.is_object() ? json.find("keys") : json.end();
  if (!json.is_object() || keys == json.end() || !keys->is_array()) return std::string("it has no array \"keys\"");
  if (keys->size() > keys_max) return format("it has more than {} keys", keys_max);
  auto set = std::make_shared<KeySet>();
  for (const Json& jwk : *keys) {
    Key key{};
    std::string reason = read_key(jwk, key);
    if (reason.empty()) {
      set->keys.push_back(std::move(key));
      continue;
    }
    ++set->left_out;
    set->left_out_reason = std::move(reason);
  }
  ERR_clear_error();  // of keys that were left out
  if (set->keys.empty()) return set->left_out > 0 ? format("it has no key that can be used: {}", set->left_out_reason) : "it has no key";
  set->text = text;
  return KeySetPtr(std::move(set));
}

}  // namespace fairlead::http::auth_jwt
