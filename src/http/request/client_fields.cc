// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/client_fields.h"

#include "core/base/text.h"
#include "http/conf/variables.h"
#include "http/forward/request_head.h"
#include "http/request/field_variables.h"
#include "http/request/request.h"

namespace fairlead::http {
namespace {

struct Noted {
  std::string_view name, value;  // the views that the list has
  Noted* next;
};
struct Dropped {
  std::string_view name;
  Dropped* next;
};

// Of a request.
struct ClientFields {
  Noted* noted = nullptr;
  Dropped* dropped = nullptr;  // names of which nothing is left that the client said
  bool is_question = false;
};

bool has_dropped(const ClientFields& own, std::string_view name) {
  for (const Dropped* dropped = own.dropped; dropped; dropped = dropped->next)
    if (is_same_variable(dropped->name, name)) return true;
  return false;
}

// By this request or one above it, whose fields it got.
bool is_dropped(Request& request, std::string_view name) {
  for (Session* at = &request; at; at = at->parent) {
    const auto* own = at->find_slot<ClientFields>();
    if (own && has_dropped(*own, name)) return true;
  }
  return false;
}

bool is_in_question(Request& request) {
  for (Session* at = &request; at; at = at->parent) {
    const auto* own = at->find_slot<ClientFields>();
    if (own && own->is_question) return true;
  }
  return false;
}

void note_dropped(Request& request, std::string_view name) {
  auto& own = request.slot<ClientFields>();
  if (!has_dropped(own, name)) own.dropped = request.arena().make<Dropped>(Dropped{name, own.dropped});
}

bool may_drop(std::string_view name) { return !not_passed_on.holds(find_known_header(name)); }

// The same text is not enough: who adds to the list may say what the client said.
bool is_noted(const ClientFields& own, const Headers::Field& field) {
  for (const Noted* noted = own.noted; noted; noted = noted->next)
    if (noted->name.data() == field.name.data() && noted->value.data() == field.value.data()) return true;
  return false;
}

}  // namespace

bool reads_as(const Headers::Field& field, std::string_view name) {
  return is_same_variable(field.name, name) && (!not_passed_on.holds(field.known) || equal_nocase(field.name, name));
}

void note_client_fields(Request& request, std::span<const std::string_view> names) {
  const Headers& headers = request.head.headers;
  for (std::string_view name : names) {
    for (const Headers::Field& field : headers) {
      if (!reads_as(field, name)) continue;
      if (is_dropped(request, name)) break;
      auto& own = request.slot<ClientFields>();
      own.noted = request.arena().make<Noted>(Noted{field.name, field.value, own.noted});
    }
  }
}

void drop_client_fields(Request& request, std::span<const std::string_view> names) {
  if (request.is_subrequest && is_in_question(request)) return;
  for (std::string_view name : names) {
    if (!may_drop(name) || is_dropped(request, name)) continue;
    const ClientFields& own = request.slot<ClientFields>();
    auto is_theirs = [&](const Headers::Field& field) {
      return reads_as(field, name) && (request.is_subrequest || is_noted(own, field));
    };
    if (request.head.headers.remove_if(is_theirs) > 0) forget_field(request, name);
    note_dropped(request, name);
  }
}

void drop_fields(Request& request, std::span<const std::string_view> names) {
  for (std::string_view name : names) {
    request.head.headers.remove_if([name](const Headers::Field& field) { return reads_as(field, name); });
    forget_field(request, name);
    note_dropped(request, name);
  }
}

void mark_question(Request& subrequest) { subrequest.slot<ClientFields>().is_question = true; }

void take_dropped_names(Request& copy, Request& from) {
  for (Session* at = &from; at; at = at->parent)
    if (const auto* theirs = at->find_slot<ClientFields>())
      for (const Dropped* dropped = theirs->dropped; dropped; dropped = dropped->next) note_dropped(copy, dropped->name);
}

}  // namespace fairlead::http
