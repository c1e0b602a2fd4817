// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/media_types.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"

namespace fairlead::http {

bool MediaTypes::hold(std::string_view media_type) const {
  if (any || equal_nocase(media_type, "text/html")) return true;
  return std::any_of(types.begin(), types.end(), [&](std::string_view listed) { return equal_nocase(listed, media_type); });
}

ConfResult<Unit> add_media_types(Line& line, MediaTypes& to) {
  if (!line.is_again()) to = MediaTypes();
  for (size_t i = 1; i < line.words().size(); ++i) {
    if (line.word(i) == "*") {
      to.any = true;
      continue;
    }
    char* text = static_cast<char*>(line.arena().allocate(line.word(i).size(), 1));
    lower_into(text, line.word(i));
    std::string_view type{text, line.word(i).size()};
    if (type == "text/html" || std::find(to.types.begin(), to.types.end(), type) != to.types.end())
      line.warn(format("duplicate MIME type \"{}\"", line.word(i)));
    else
      to.types.push_back(type);
  }
  return Unit();
}

std::string_view media_type_of(const Response& response) {
  std::string_view type = response.content_type;
  if (type.empty()) type = response.head.headers.value(KnownHeader::content_type);
  return trim_back(type.substr(0, type.find(';')));
}

}  // namespace fairlead::http
