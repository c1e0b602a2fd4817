// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/sha1.h"

#include <openssl/evp.h>

#include "core/base/error.h"

namespace fairlead {

Sha1 sha1(std::string_view bytes) {
  Sha1 digest;
  FL_ASSERT(EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha1(), nullptr) == 1);
  return digest;
}

}  // namespace fairlead
