// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/open_syslog.h"

#include "core/base/format.h"
#include "core/conf/generation.h"
#include "core/conf/line.h"
#include "core/conf/resolve_now.h"

namespace fairlead {

ConfResult<SyslogSink*> open_syslog(Line& line, std::string_view parameters) {
  auto target = parse_syslog(parameters);
  if (!target) return target.error();
  if (!target->server.valid()) {
    auto resolved = resolve_now(target->server_name, target->server_port);
    if (!resolved) return format("{} in syslog server \"{}\"", resolved.error(), target->server_name);
    target->server = resolved->front();
  }
  auto sink = std::make_unique<SyslogSink>(std::move(*target));
  SyslogSink* opened = sink.get();
  line.generation().keep_sink(std::move(sink));
  return opened;
}

}  // namespace fairlead
