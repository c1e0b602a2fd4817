// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// RewriteConf: the two values of the rewrite module that are not statements.
#pragma once

namespace fairlead {

struct RewriteConf {
  bool rewrite_log = false;
  bool uninitialized_variable_warn = true;
};

}  // namespace fairlead
