// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/upstream/written_group.h"

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/block.h"

namespace fairlead {

ConfResult<const GroupSpec*> written_group(Generation& generation, const GroupSpec& named, bool has_port) {
  const ServerLine& wanted = named.servers[0];
  for (auto& group : upstreams_of(generation).groups) {
    if (group->is_implicit) continue;
    if (equal_nocase(group->name, named.name)) return static_cast<const GroupSpec*>(group.get());
    if (has_port && equal_nocase(group->name, wanted.host))
      return format("upstream \"{}\" may not have port {}{}\n", group->name, wanted.port, at_place(named.place));
  }
  return &named;
}

}  // namespace fairlead
