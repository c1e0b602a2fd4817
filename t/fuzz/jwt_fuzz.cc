// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Tokens and key sets of strangers: nothing they say ends the process, a token that nobody signed is never good, and what a token claims
// can be made a text. The first byte chooses: a token; a header and a payload with a line feed between; a key set; an encrypted token.

#include "core/base/encoding.h"
#include "modules/http_auth_jwt/jwe.h"
#include "modules/http_auth_jwt/token.h"
#include "t/fuzz/require.h"

namespace {

using namespace fairlead;
using namespace fairlead::http::auth_jwt;

using fairlead::fuzz::require;

const KeySetPtr& our_keys() {
  static const KeySetPtr keys = *parse_key_set(
      R"({"keys":[{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ","kid":"a"},)"
      R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},)"
      R"({"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA","kid":"b"},{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},)"
      R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})");
  return keys;
}

void try_token(std::string_view text) {
  auto token = parse_token(text);
  if (!token) return;
  require(text.starts_with((*token)->signing_input), "signed is what came");
  require(verify(**token, std::span(&our_keys(), 1)) != Signature::good, "nobody signed it");
  check_times((*token)->payload, 1'000'000'000, 60);
  for (std::string_view name : {"a", "sub", "exp"})
    for (const Claims* claims : {&(*token)->header, &(*token)->payload}) {
      std::string_view path[] = {name, "b"};
      claims->text(std::span(path, 1));
      claims->text(path);
      claims->number(name);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  switch (bytes[0] % 4) {
    case 0: try_token(input); break;
    case 1: {
      size_t end = std::min(input.find('\n'), input.size());
      std::string_view payload = input.substr(std::min(end + 1, input.size()));
      try_token(base64(input.substr(0, end), Base64::url) + "." + base64(payload, Base64::url) + "." + base64("signature", Base64::url));
      break;
    }
    case 3: (void)decrypt_token(input, std::span(&our_keys(), 1)); break;
    default: {
      auto keys = parse_key_set(input);
      if (!keys) break;
      require((*keys)->keys.size() + (*keys)->left_out <= keys_max, "more keys than may be");
      auto again = parse_key_set((*keys)->text);
      require(again && (*again)->keys.size() == (*keys)->keys.size(), "read another way");
    }
  }
  return 0;
}
