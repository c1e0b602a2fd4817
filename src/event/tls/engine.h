// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `ssl_engine`: hardware that does OpenSSL's work. OpenSSL 3.0 calls engines deprecated and still has them; where they are left out, so is
// what they do, and the directive says so.
#pragma once

#include "core/conf/module.h"

namespace fairlead {

extern const Module tls_engine_module;

}  // namespace fairlead
