// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Where OpenSSL gets its memory: the heap, but for buffers of one TLS record. Those it frees as soon as a connection has nothing in them
// (SSL_MODE_RELEASE_BUFFERS), so every small request would take two of them through the slow path of malloc; a few are kept for the next
// record instead. All blocks are the heap's, so whoever frees one, or looks for leaks, finds what it expects. Under the address sanitizer
// none is kept.
#pragma once

#include <cstddef>

namespace fairlead {

// As many as one thread has in work at once: a record read and one written, of a client and of a peer.
inline constexpr unsigned record_buffers_max = 4;

// Before OpenSSL's first allocation in this process. False: there was one; it stays with the heap alone.
bool keep_record_buffers();
// Gives the buffers that this thread keeps back to the heap, when there is no traffic that could use them.
void drop_record_buffers();
// Kept by this thread now.
unsigned kept_record_buffers();

}  // namespace fairlead
