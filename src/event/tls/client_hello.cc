// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/client_hello.h"

#include <cstdint>

#include "core/base/text.h"

namespace fairlead {

static size_t number_at(std::string_view bytes, size_t at) {
  return static_cast<size_t>(static_cast<uint8_t>(bytes[at])) << 8 | static_cast<uint8_t>(bytes[at + 1]);
}

std::optional<std::string_view> server_name_of(std::string_view extension) {
  constexpr size_t length_bytes = 2, entry_bytes_min = 3;
  constexpr char host_name = 0;
  if (extension.size() < length_bytes || number_at(extension, 0) != extension.size() - length_bytes) return std::nullopt;
  std::string_view list = extension.substr(length_bytes);
  while (list.size() >= entry_bytes_min) {
    char type = list[0];
    size_t bytes = number_at(list, 1);
    list.remove_prefix(entry_bytes_min);
    if (bytes > list.size()) return std::nullopt;
    std::string_view name = list.substr(0, bytes);
    if (type == host_name) {
      if (name.empty() || name.size() > server_name_bytes_max || name.find('\0') != std::string_view::npos) return std::nullopt;
      return name;
    }
    list.remove_prefix(bytes);
  }
  return std::nullopt;
}

bool offers_version(std::string_view extension, unsigned version) {
  if (extension.empty()) return false;
  std::string_view list = extension.substr(1, static_cast<uint8_t>(extension[0]));
  for (size_t at = 0; at + 1 < list.size(); at += 2)
    if (number_at(list, at) == version) return true;
  return false;
}

std::string_view normalised_name(std::string_view name, char* room) {
  if (name.ends_with('.')) name.remove_suffix(1);
  for (char c : name)
    if (c <= ' ' || c == '/' || c == 0x7f) return {};
  if (name.find("..") != std::string_view::npos || name.starts_with('.')) return {};
  lower_into(room, name);
  return {room, name.size()};
}

}  // namespace fairlead
