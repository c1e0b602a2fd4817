// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/file_path.h"

#include "core/base/text.h"
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

std::string_view media_type(const Request& request) {
  constexpr size_t extension_max = 64;
  static const TypeMap nginx_types = {{"html", "text/html"}, {"gif", "image/gif"}, {"jpg", "image/jpeg"}};
  const CoreConf& core = conf<CoreConf>(request);
  std::string_view extension = request.uri_extension;
  if (extension.empty() || extension.size() > extension_max) return core.default_type;
  char lowered[extension_max];
  lower_into(lowered, extension);
  const TypeMap& types = core.types ? *core.types : nginx_types;
  auto found = types.find({lowered, extension.size()});
  return found == types.end() ? core.default_type : found->second;
}

}  // namespace fairlead::http
