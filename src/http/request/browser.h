// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a User-Agent says of the few browsers whose faults some directives work around (keepalive_disable, msie_padding, msie_refresh).
#pragma once

#include <string_view>

namespace fairlead::http {

struct Browser {
  bool msie = false;
  bool msie6 = false;  // 6 or older, without the service pack that mended it
  bool chrome = false;
  bool safari = false;  // on a Mac
};

// At most one of msie, chrome and safari holds. Opera claims to be MSIE and is not.
Browser browser_of(std::string_view user_agent);

}  // namespace fairlead::http
