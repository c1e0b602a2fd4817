// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Arguments of queries and forms, and percent-encoding, as scripts know them. Pure.
#pragma once

#include <string>
#include <string_view>

namespace fairlead::lua {

// All bytes but letters, digits and -_.~!'()* as %XX.
void append_component(std::string& to, std::string_view text);
// Of a whole URI: spaces, # % ?, control characters and bytes beyond ASCII as %XX, all else stays.
void append_uri(std::string& to, std::string_view text);
// As that, and + too.
void append_uri_and_plus(std::string& to, std::string_view text);
// A URI into an attribute of HTML: it may have a ? but neither quote; into a Refresh field: it is escaped already, so % and # stay.
void append_uri_for_html(std::string& to, std::string_view text);
void append_uri_for_refresh(std::string& to, std::string_view text);
// Control characters, spaces and % alone.
void append_memcached_key(std::string& to, std::string_view text);
// Control characters alone, which would end a line of a head.
void append_controls_escaped(std::string& to, std::string_view text);

// `+` is a space, a bad % stays. A view of `text`, or of `room`.
std::string_view decode_argument(std::string_view text, std::string& room);

// "a=1&b&c=%20", one argument after the other; those without a name are left out.
class ArgumentReader {
 public:
  // `text` outlives it.
  explicit ArgumentReader(std::string_view text) : rest_(text) {}
  // False: there is no other.
  bool next();

  // Of the last one, as they stand in the text.
  std::string_view name, value;
  bool has_value = false;  // there is a =

 private:
  std::string_view rest_;
};

}  // namespace fairlead::lua
