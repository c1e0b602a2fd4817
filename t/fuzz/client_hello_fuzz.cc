// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The server_name extension: a name that is found lies within the bytes, and its normal form is its own normal form.
#include <cstdint>
#include <cstdlib>

#include "event/tls/client_hello.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace fairlead;
  std::string_view input(reinterpret_cast<const char*>(bytes), size);
  auto name = server_name_of(input);
  if (!name) return 0;
  if (name->data() < input.data() || name->data() + name->size() > input.data() + input.size() || name->empty()) std::abort();
  char room[server_name_bytes_max], again_room[server_name_bytes_max];
  std::string_view normal = normalised_name(*name, room);
  if (normal.size() > name->size()) std::abort();
  if (!normal.empty() && !normal.ends_with('.') && normalised_name(normal, again_room) != normal) std::abort();
  return 0;
}
