// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/file_path.h"

#include "core/conf/generation.h"
#include "http/conf/core_conf.h"
#include "http/request/request.h"

namespace fairlead::http {

// The part of the URI that `alias` stands in for: the name of the location that was found, `if` and `limit_except` being inside it. A
// regular expression stands for all of it.
static size_t aliased_bytes(const Location* place, std::string_view uri) {
  while (place->match == Location::Match::none && place->outer) place = place->outer;
  if (place->match == Location::Match::regex) return uri.size();
  return std::min(place->name.size(), uri.size());
}

std::string_view map_path(Request& request, std::string_view uri) {
  const CoreConf& core = conf<CoreConf>(request);
  std::string_view root = core.root.evaluate(request);
  if (root.empty() || root[0] != '/') root = request.arena().copy(request.generation().absolute_path(root));
  if (core.is_alias) uri.remove_prefix(aliased_bytes(request.location, uri));
  std::string_view path = request.arena().join({root, uri, std::string_view("", 1)});
  path.remove_suffix(1);
  return path;
}

}  // namespace fairlead::http
