// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/basic_credentials.h"

#include "core/base/encoding.h"
#include "core/base/text.h"

namespace fairlead::http {

std::optional<BasicCredentials> parse_basic_credentials(std::string_view field) {
  if (!starts_with_nocase(field, "Basic ")) return std::nullopt;
  std::string_view encoded = trim(field.substr(6));
  auto text = base64_decode(encoded.substr(0, encoded.find('=')));
  if (!text) return std::nullopt;
  size_t colon = text->find(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  return BasicCredentials{text->substr(0, colon), text->substr(colon + 1)};
}

}  // namespace fairlead::http
