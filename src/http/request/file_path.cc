// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/file_path.h"

#include "core/conf/generation.h"
#include "http/conf/core_conf.h"

namespace fairlead::http {

std::string_view root_path(Request& request) {
  std::string_view path = conf<CoreConf>(request).root.evaluate(request);
  if (!path.empty() && path[0] == '/') return path;
  return request.arena().join({request.generation().request().prefix, path});
}

std::string_view map_path(Request& request, std::string_view uri) {
  const CoreConf& core = conf<CoreConf>(request);
  std::string_view rest = uri;
  if (core.is_alias) {
    const Location& place = *core.alias_of;
    bool regex = place.match == Location::Match::regex;
    if (request.left_location || (!regex && place.name.size() > uri.size())) {
      request.logger.error("\"alias\" cannot be used in location \"{}\" where URI was rewritten", place.name);
      return {};
    }
    if (!regex) rest.remove_prefix(place.name.size());
    else if (!request.alias_takes_uri) rest = {};
  }
  std::string_view path = request.arena().join({root_path(request), rest, std::string_view("\0", 1)});
  path.remove_suffix(1);
  return path;
}

}  // namespace fairlead::http
