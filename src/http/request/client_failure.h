// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What it means for a request that its client failed in the middle of it, in the body: whoever reads that. Plain.
#pragma once

#include <cstdint>
#include <string_view>

namespace fairlead {
struct Error;
}
namespace fairlead::http {

// For an error of side client. 413, 408, 499 for a stream of HTTP/2 that the client resets, else 400, as nginx has it: a client that leaves
// there broke its request off. (One that leaves while it waits for its answer is a 499: end of a Handling.)
uint16_t status_of_client_failure(const Error& error);
// The flag for $fail_reason.
std::string_view reason_of_client_failure(const Error& error);

}  // namespace fairlead::http
