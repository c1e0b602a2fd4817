// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What a server reads out of a client hello by itself, because it is needed before OpenSSL has looked at it: the server's name. Pure bytes.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace fairlead {

// The host name of a server_name extension's content (RFC 6066 section 3), as the client wrote it; nothing if there is none or the
// bytes are no such list. A view of `extension`.
std::optional<std::string_view> server_name_of(std::string_view extension);

// Whether a supported_versions extension's content (RFC 8446 section 4.2.1) names `version`, as it is on the wire.
bool offers_version(std::string_view extension, unsigned version);

// A host name as it is looked up: lower case, without a dot at its end, written to `room` (at least as many bytes as the name). Empty: it
// has bytes that no host name may have.
std::string_view normalised_name(std::string_view name, char* room);
constexpr size_t server_name_bytes_max = 255;

}  // namespace fairlead
