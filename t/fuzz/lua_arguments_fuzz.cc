// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Arguments of queries and forms as scripts get them: each lies in the text, none is without a name, decoding never makes longer, and what
// is decoded, encoded and decoded again is the same. Written out again they are read again.
#include <cstdint>
#include <string>
#include <vector>

#include "modules/lua/arguments.h"
#include "t/fuzz/feed.h"
#include "t/fuzz/require.h"

namespace {

using namespace fairlead;
using namespace fairlead::lua;

using fairlead::fuzz::require;

std::string decoded(std::string_view text) {
  std::string room;
  return std::string(decode_argument(text, room));
}

struct Argument {
  std::string name, value;
  bool has_value;
  bool operator==(const Argument&) const = default;
};

std::vector<Argument> read_all(std::string_view text) {
  fuzz::Copy copy(text);
  std::string_view whole = copy.view();
  std::vector<Argument> all;
  ArgumentReader reader(whole);
  while (reader.next()) {
    require(!reader.name.empty() && reader.name.find_first_of("&=") == std::string_view::npos, "no name");
    require(reader.value.find('&') == std::string_view::npos && (reader.has_value || reader.value.empty()), "no value");
    require(reader.name.data() >= whole.data() && reader.name.data() + reader.name.size() <= whole.data() + whole.size(), "elsewhere");
    all.push_back({decoded(reader.name), decoded(reader.value), reader.has_value});
    require(all.back().name.size() <= reader.name.size() && all.back().value.size() <= reader.value.size(), "longer than it was");
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(bytes), size);
  std::vector<Argument> all = read_all(text);
  std::string written;
  for (const Argument& one : all) {
    if (!written.empty()) written += '&';
    append_component(written, one.name);
    if (one.has_value) written += '=';
    append_component(written, one.value);
  }
  require(read_all(written) == all, "written and read again it differs");
  std::string component;
  append_component(component, text);
  require(decoded(component) == text, "encoding does not invert decoding");
  return 0;
}
