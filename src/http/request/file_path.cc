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

bool climbs(std::string_view text) {
  for (size_t at = text.find("/.."); at != std::string_view::npos; at = text.find("/..", at + 1))
    if (at + 3 == text.size() || text[at + 3] == '/') return true;
  return false;
}

// Whether what the request brought climbs out of what the configuration gave: `base` alone, or all of it if a pattern made it.
static bool leads_outside(const Template& root, std::string_view base, std::string_view path, bool is_pattern) {
  if (is_pattern && !root.is_literal() && root.source().find("..") == std::string_view::npos) return climbs(path);
  return climbs(path.substr(base.empty() ? 0 : base.size() - 1));
}

// `refusal` is 0 with a path, and 404 where that climbs out, of which nothing is logged here.
static std::string_view path_of(Request& request, std::string_view uri, unsigned& refusal) {
  const CoreConf& core = conf<CoreConf>(request);
  std::string_view rest = uri;
  bool is_pattern = false;
  if (core.is_alias) {
    const Location& place = *core.alias_of;
    is_pattern = place.match == Location::Match::regex;
    if (request.left_location || (!is_pattern && place.name.size() > uri.size())) {
      request.logger.error("\"alias\" cannot be used in location \"{}\" where URI was rewritten", place.name);
      refusal = 500;
      return {};
    }
    if (!is_pattern) rest.remove_prefix(place.name.size());
    else if (!request.alias_takes_uri) rest = {};
  }
  std::string_view base = root_path(request);
  std::string_view path = request.arena().join({base, rest, std::string_view("\0", 1)});
  path.remove_suffix(1);
  refusal = leads_outside(core.root, base, path, is_pattern) ? 404 : 0;
  return refusal ? std::string_view() : path;
}

std::string_view map_path(Request& request, std::string_view uri, unsigned* refusal) {
  unsigned refused = 0;
  std::string_view path = path_of(request, uri, refused);
  if (refused == 404) request.logger.error("\"{}\" leads outside of \"{}\"", uri, root_path(request));
  if (refused && refusal) *refusal = refused;
  return path;
}

std::string_view shown_path(Request& request, std::string_view uri) {
  unsigned refused = 0;
  return path_of(request, uri, refused);
}

}  // namespace fairlead::http
