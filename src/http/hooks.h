// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http::Hooks: how a module takes part in HTTP. Arrays of constant rows; the engine asks `applies` once per block when a configuration is
// loaded and compiles what applies into plain arrays, so a hook that is not used in a location costs nothing there.
#pragma once

#include <cstdint>
#include <span>

#include "core/conf/block.h"
#include "event/loop/task.h"
#include "http/request/verdict.h"

namespace fairlead {
struct TlsHandshake;
}
namespace fairlead::http {

class Request;
class Attempt;
struct TryRecord;

// Those of server_rewrite run ahead of the server's script, those of before_rewrite ahead of the location's, those of rewrite behind it.
enum class Phase : uint8_t { post_read, server_rewrite, before_rewrite, rewrite, preaccess, access, precontent, content, log };
constexpr size_t phase_count = 9;

// Either `check`, which never waits, or `run`. In the access phase: next() has no opinion, allow() satisfies `satisfy any`, status()
// denies. In the log phase only `check` is called and its verdict is not looked at. In the content phase: the handlers that may decline
// (next()), tried in running order when no directive set the location's content.
struct PhaseEntry {
  Phase phase;
  Verdict (*check)(Request& request) = nullptr;
  Task<Verdict> (*run)(Request& request) = nullptr;
  bool (*applies)(const Block& block) = nullptr;  // nullptr: everywhere
  bool leads = false;                             // ahead of the entries of all modules that do not
  bool sees_subrequests = false;                  // log phase: at the end of each, too, that is not logged or was broken off
};

// What is done to a response before its head leaves, in this order. A filter edits request.response
// and may wrap its body.
enum class Stage : uint8_t { store, not_modified, script, headers, content, encode, range, framing };
struct ResponseFilter {
  Stage stage;
  void (*apply)(Request& request) = nullptr;
  bool (*applies)(const Block& block) = nullptr;
};

// Around each try on a peer.
struct ForwardHook {
  // Before its request is sent. True: fields of the client's request were changed for it, and its head is made anew.
  bool (*begin)(Request& request, TryRecord& record) = nullptr;
  // When its result is known, or the attempt was destroyed.
  void (*end)(Request& request, const TryRecord& record) = nullptr;
  bool (*applies)(const Block& block) = nullptr;
};

// In handshakes. With a client (the first four) there is no request yet: the hook gets one with an empty head that stands for the
// connection and ends with the hook. `applies` is asked of the server that the point names.
enum class TlsPoint : uint8_t {
  client_hello,      // was read, nothing of it counts yet; of the address's default server
  session_fetch,     // behind that, if it names a session (TLS 1.2); of the address's default server
  certificate,       // is about to be used, not on a resumed session; of the server that was chosen
  session_store,     // a session was made; `note`. Of the server that was chosen
  peer_certificate,  // is about to be chosen, if the peer asks for one; of the request's location
  peer_verify,       // the peer's certificate was verified; of the request's location
};
struct TlsHook {
  TlsPoint at;
  // False: the handshake fails; the reason has been logged.
  Task<bool> (*run)(Request& request, TlsHandshake& handshake) = nullptr;
  // Called from within OpenSSL.
  void (*note)(Request& request, TlsHandshake& handshake) = nullptr;
  bool (*applies)(const Block& block) = nullptr;
};

struct Hooks {
  std::span<const PhaseEntry> phases;
  std::span<const ResponseFilter> filters;
  std::span<const ForwardHook> forward;
  std::span<const TlsHook> tls = {};
};

// The function that answers requests of a location, set by a directive (proxy_pass, stub_status).
using Content = Task<Verdict> (*)(Request& request);

}  // namespace fairlead::http
