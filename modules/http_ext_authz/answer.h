// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a policy service said, whichever protocol it spoke. Plain values. Private to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fairlead::http::ext_authz {

struct FieldChange {
  enum class How : uint8_t { set, append, if_absent, if_present } how = How::set;  // the last: set where it is there
  std::string name, value;
};

struct Answer {
  enum class Kind : uint8_t { failed, denied, allowed } kind = Kind::failed;
  std::string reason;                // of failed: for the log
  uint16_t status = 403;             // of denied
  std::string body, content_type;    // of denied
  int64_t unsent_bytes = 0;          // of denied, to HEAD: of the body that another method would have got
  std::vector<FieldChange> to_upstream, to_client;
  std::vector<std::string> removed;  // names of fields that the upstream does not get
};

inline Answer failed(std::string reason) {
  Answer answer;
  answer.reason = std::move(reason);
  return answer;
}

}  // namespace fairlead::http::ext_authz
