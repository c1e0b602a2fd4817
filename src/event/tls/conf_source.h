// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// How directives of TLS name certificates, keys and password files: what the bundles of servers and clients share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/conf/template.h"

namespace fairlead {

// The word as an absolute path below the folder of the configuration file; "data:", "engine:" and "store:" and the empty text stay.
std::string_view tls_path(Line& line, size_t index);
// The first word as a source of a certificate or key, variables allowed.
ConfResult<Unit> read_tls_source(Line& line, Template& source);
// Adds a source to a list of files unless it is none.
void add_path(std::vector<std::string>& paths, std::string_view source);
// The sink of the file that the first word names, as logs are named.
LogSink* tls_key_log(Line& line);
// The lines of the file that the first word names.
ConfResult<Unit> read_tls_passwords(Line& line, std::vector<std::string_view>& passwords);

}  // namespace fairlead
