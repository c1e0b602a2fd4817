// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Fields that the answers of a service that decides about a request put on it. After an internal redirect the service of the new location
// is asked again: what the answer before had added is taken out, so that nothing stands there twice or outlives what it was said of.
#pragma once

#include <string_view>

namespace fairlead::http {

class Headers;
class Request;

// What was added to one list of fields. In the arena of that list, like the list.
class AddedFields {
 public:
  // Adds a field with copies of both texts.
  void add(Headers& to, std::string_view name, std::string_view value);
  // Takes out of `from`, the same list always, what was added with that name and is still there.
  void withdraw(Headers& from, std::string_view name);
  void withdraw_all(Headers& from);

 private:
  friend class AnswerFields;
  struct Added {
    std::string_view name, value;  // the views that the list has
    Added* next;
  };
  Added* first_ = nullptr;
};

// The state of a request for one such service: a module derives the type of its slot from it.
class AnswerFields {
 public:
  AddedFields to_upstream, to_client;  // request.head.headers, request.response.head.headers

  // Before the service is asked. What a denial told the client stays: this may be the location of its error page.
  void start(Request& request);
  // The answer is no consent: what an earlier one told the client is taken out.
  void deny(Request& request);

 private:
  bool has_denied_ = false;
};

}  // namespace fairlead::http
