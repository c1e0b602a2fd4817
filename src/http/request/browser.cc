// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/browser.h"

namespace fairlead::http {

static bool says(std::string_view text, std::string_view word) { return text.find(word) != std::string_view::npos; }

// `version`: from behind "MSIE " on, as in "6.0; Windows NT 5.1; SV1)".
static bool is_msie6(std::string_view version) {
  if (version.size() < 2 || version[1] != '.') return false;
  if (version[0] == '4' || version[0] == '5') return true;
  return version[0] == '6' && !says(version, "SV1");
}

Browser browser_of(std::string_view user_agent) {
  Browser browser;
  size_t msie = user_agent.find("MSIE ");
  constexpr size_t version_bytes = 3;  // "6.0"
  bool has_version = msie != std::string_view::npos && msie + 5 + version_bytes <= user_agent.size();
  if (has_version && !says(user_agent, "Opera")) {
    browser.msie = true;
    browser.msie6 = is_msie6(user_agent.substr(msie + 5));
  } else if (says(user_agent, "Gecko/")) {  // Firefox and its kin
    return browser;
  } else if (says(user_agent, "Chrome/")) {
    browser.chrome = true;
  } else if (says(user_agent, "Safari/") && says(user_agent, "Mac OS X")) {
    browser.safari = true;
  }
  return browser;
}

}  // namespace fairlead::http
