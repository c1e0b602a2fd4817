// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// "$value ... [error=code]" of auth_require, auth_jwt_require: values that must all be something other than nothing and "0".
#pragma once

#include "core/conf/line.h"
#include "core/conf/template.h"
#include "http/request/request.h"

namespace fairlead::http {

struct Requirement {
  Conditions values;
  uint16_t status = 403;  // of a request for which one is not
};

// `may_be`: the statuses that "error=" may give. Without it requirement.status stays.
ConfResult<Unit> parse_requirement(Line& line, bool (*may_be)(uint64_t status), Requirement& requirement);
// The first value that does not hold; nullptr: all do.
const Template* first_missing(const Requirement& requirement, Request& request);

}  // namespace fairlead::http
