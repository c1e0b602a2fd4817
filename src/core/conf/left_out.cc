// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/left_out.h"

namespace fairlead {

static constexpr LeftOut table[] = {
    {"connection_pool_size", "a connection holds memory only while it needs it"},
    {"debug_points", "a broken invariant always ends the worker with a core file"},
    {"post_action", "it was never documented; access_log or mirror do what it was used for"},
    {"postpone_output", "what is there is gathered and sent at once"},
    {"proxy_allow_upstream", "only the commercial nginx has it"},
    {"proxy_bind_dynamic", "only the commercial nginx has it"},
    {"proxy_request_dynamic", "only the commercial nginx has it"},
    {"subrequest_output_buffer_size", "what a subrequest answers is not kept in one buffer"},
    {"worker_aio_requests", "the kernel's asynchronous reads are not used; see \"aio threads\""},
};

std::span<const LeftOut> left_out_directives() { return table; }

std::string_view why_left_out(std::string_view name) {
  for (const LeftOut& entry : table)
    if (entry.name == name) return entry.reason;
  return {};
}

}  // namespace fairlead
