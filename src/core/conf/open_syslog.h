// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `syslog:...` as the target of a log directive.
#pragma once

#include <string_view>

#include "core/base/syslog.h"
#include "core/conf/directive.h"

namespace fairlead {

// `parameters`: what follows "syslog:". A name of the server is resolved now. The sink belongs to the generation. Errors in nginx's words.
ConfResult<SyslogSink*> open_syslog(Line& line, std::string_view parameters);

}  // namespace fairlead
