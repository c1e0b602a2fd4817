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

namespace fairlead::http {

class Request;
class Attempt;
struct TryRecord;

enum class Phase : uint8_t { post_read, server_rewrite, rewrite, preaccess, access, precontent, content, log };
constexpr size_t phase_count = 8;

// Either `check`, which never waits, or `run`. In the access phase: next() has no opinion, allow() satisfies `satisfy any`, status()
// denies. In the log phase only `check` is called and its verdict is not looked at. In the content phase: the handlers that may decline
// (next()), tried in running order when no directive set the location's content.
struct PhaseEntry {
  Phase phase;
  Verdict (*check)(Request& request) = nullptr;
  Task<Verdict> (*run)(Request& request) = nullptr;
  bool (*applies)(const Block& block) = nullptr;  // nullptr: everywhere
};

// What is done to a response before its head leaves, in this order; see ARCHITECTURE 4. A filter edits request.response and may
// wrap its body.
enum class Stage : uint8_t { store, not_modified, script, headers, content, encode, range, framing };
struct ResponseFilter {
  Stage stage;
  void (*apply)(Request& request) = nullptr;
  bool (*applies)(const Block& block) = nullptr;
};

// Around each try on a peer.
struct ForwardHook {
  // Before the peer is connected to. False refuses the attempt.
  bool (*begin)(Request& request, TryRecord& record) = nullptr;
  // When its result is known, or the attempt was destroyed.
  void (*end)(Request& request, const TryRecord& record) = nullptr;
  bool (*applies)(const Block& block) = nullptr;
};

struct Hooks {
  std::span<const PhaseEntry> phases;
  std::span<const ResponseFilter> filters;
  std::span<const ForwardHook> forward;
};

// The function that answers requests of a location, set by a directive (proxy_pass, stub_status).
using Content = Task<Verdict> (*)(Request& request);

}  // namespace fairlead::http
