// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Fields that an upstream believes to be the word of a service that lets requests in: what the client says in them itself must not reach
// one, whoever let the request in (the service, another check of `satisfy any`, a service that failed and is "open", nobody, where the
// service is off). They go when the request is let in, not before: the service and other checks may have to read them.
//
// `names` are the configuration's: they live as long as its generation.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "http/hooks.h"
#include "http/request/request.h"

namespace fairlead::http {

// Whether an upstream may read the field for one of that name: it may take X_User for X-User. What frames the message has no other name
// than its own.
bool reads_as(const Headers::Field& field, std::string_view name);

// Before the access phase: remembers which fields of these names are the client's. What checks of that phase and scripts in it put there
// is not.
void note_client_fields(Request& request, std::span<const std::string_view> names);
// Behind the access phase: takes out those that are still there, but for the framing, the connection and Host. A subrequest has no access
// phase: it loses all fields of names that no request above it has lost, unless it is a question.
void drop_client_fields(Request& request, std::span<const std::string_view> names);
// The service consents: all fields of these names go, whoever set them, and whatever they are.
void drop_fields(Request& request, std::span<const std::string_view> names);

// The subrequest asks a service whether its parent is let in: it, and what it is made of, keeps the client's fields.
void mark_question(Request& subrequest);
// A copy that has no parent: what `from` has lost is not in it either.
void take_dropped_names(Request& copy, Request& from);

// The two entries of a module whose conf lists such names.
template <class Conf, std::vector<std::string_view> Conf::*Names>
struct ReservedNames {
  static bool are_set(const Block& block) { return !(conf<Conf>(block).*Names).empty(); }
  static Verdict note(Request& request) {
    note_client_fields(request, conf<Conf>(request).*Names);
    return Verdict::next();
  }
  static Verdict drop(Request& request) {
    drop_client_fields(request, conf<Conf>(request).*Names);
    return Verdict::next();
  }
  static constexpr PhaseEntry before_access = {.phase = Phase::access, .check = &note, .applies = &are_set, .leads = true};
  static constexpr PhaseEntry behind_access = {.phase = Phase::precontent, .check = &drop, .applies = &are_set, .leads = true};
};

}  // namespace fairlead::http
