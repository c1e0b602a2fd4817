// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `error_log`: which sinks take the lines of a block. Several lines of one block add up; an inner block's replace the outer ones.
#pragma once

#include "core/base/log.h"
#include "core/conf/module.h"

namespace fairlead {

struct ErrorLogConf {
  Log* log = nullptr;  // nullptr in main if it has no such line: then Generation gives it the default file. Lies in the generation's arena
};

extern const Module error_log_module;

}  // namespace fairlead
