// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/content_type.h"

#include "core/base/text.h"
#include "http/conf/core_conf.h"
#include "http/message/uri.h"
#include "http/request/request.h"

namespace fairlead::http {

static std::string_view default_types(std::string_view extension) {
  if (extension == "html") return "text/html";
  if (extension == "gif") return "image/gif";
  if (extension == "jpg") return "image/jpeg";
  return {};
}

std::string_view content_type_of(Request& request) {
  const CoreConf& core = conf<CoreConf>(request);
  char text[64];  // longer ones are in no table of types
  std::string_view extension = uri_extension(request.uri);
  if (extension.empty() || extension.size() > sizeof text) return core.default_type;
  lower_into(text, extension);
  extension = std::string_view(text, extension.size());
  if (!core.types) {
    std::string_view found = default_types(extension);
    return found.empty() ? core.default_type : found;
  }
  auto at = core.types->find(extension);
  return at == core.types->end() ? core.default_type : at->second;
}

}  // namespace fairlead::http
