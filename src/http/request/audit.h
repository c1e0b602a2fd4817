// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// One line in the error log and one count for each decision about who may come in, whichever module made it.
#pragma once

#include "core/conf/module.h"
#include "http/request/request.h"

namespace fairlead::http {

enum class Decided : uint8_t {
  allowed,
  challenged,     // there were no credentials: the client may ask again with some
  denied,
  failed,         // there was no decision, so nobody comes in
  failed_open,    // there was none, and the configuration lets the request in all the same
  shadow_denied,  // it would have been denied
  logged,         // a rule matched that only watches
};

struct Decision {
  std::string_view check;     // who decided: "rbac", "auth_jwt"; a literal
  Decided decided;
  std::string_view rule;      // what decided it: a policy's name, or a few words of a set that the traffic does not choose
  std::string_view identity;  // who asks, as far as the check knows; empty: it does not
};

// The line's level goes by the decision: denials and failures are errors, what passes against a rule is a warning.
void audit(Request& request, const Decision& decision);

// Where any check suffices, what one of them denies another may allow: while this lives, lines of denials wait, and at its end they are
// errors only if the request is refused. Of one request at most one at a time. Counts do not wait.
class HeldDenials {
 public:
  explicit HeldDenials(Request& request);
  ~HeldDenials();
  HeldDenials(const HeldDenials&) = delete;
  HeldDenials& operator=(const HeldDenials&) = delete;
  void refuse() { level_ = LogLevel::error; }

 private:
  friend void audit(Request& request, const Decision& decision);
  struct Held;  // in the request's arena
  void hold(const Decision& decision);

  Request& request_;
  Held* first_ = nullptr;
  Held** last_ = &first_;
  LogLevel level_ = LogLevel::info;
};

// For whoever makes the registry of a generation: the family of the counts.
ConfResult<Unit> declare_audit(Generation& generation);

extern const Module http_audit_module;

}  // namespace fairlead::http
