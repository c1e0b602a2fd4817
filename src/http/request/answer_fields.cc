// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/answer_fields.h"

#include "core/base/text.h"
#include "http/request/field_variables.h"
#include "http/request/request.h"

namespace fairlead::http {

// Same text is not enough: the client, or who else added to the list, may have said the same.
static bool is_field(const Headers::Field& field, std::string_view name, std::string_view value) {
  return field.name.data() == name.data() && field.value.data() == value.data();
}

void AddedFields::add(Headers& to, std::string_view name, std::string_view value) {
  Arena& arena = to.arena();
  first_ = arena.make<Added>(Added{arena.copy(name), arena.copy(value), first_});
  to.add(first_->name, first_->value);
}

void AddedFields::withdraw(Headers& from, std::string_view name) {
  for (Added** at = &first_; *at;) {
    const Added& added = **at;
    if (!equal_nocase(added.name, name)) {
      at = &(*at)->next;
      continue;
    }
    from.remove_if([&](const Headers::Field& field) { return is_field(field, added.name, added.value); });
    *at = added.next;
  }
}

void AddedFields::withdraw_all(Headers& from) {
  while (first_) withdraw(from, first_->name);
}

void AnswerFields::start(Request& request) {
  for (const AddedFields::Added* added = to_upstream.first_; added; added = added->next) forget_field(request, added->name);
  to_upstream.withdraw_all(request.head.headers);
  if (!has_denied_) to_client.withdraw_all(request.response.head.headers);
}

void AnswerFields::deny(Request& request) {
  to_client.withdraw_all(request.response.head.headers);
  has_denied_ = true;
}

}  // namespace fairlead::http
