// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Subrequest: a request that another one makes inside the server, through locations of the configuration as if a client had sent it, with
// its response kept in memory. It has its own arena and Request; the client's connection, head, address and logger context are those of its
// parent, which outlives it. For authorization, captures, inclusion. What outlives its parent is not made with this.
#pragma once

#include <optional>

#include "core/base/arena.h"
#include "http/hooks.h"
#include "http/request/request.h"

namespace fairlead::http {

class Capture;

// Subrequests of subrequests, counted from the client's request. More is taken for a cycle.
constexpr int subrequest_depth_max = 50;

// What is asked. Texts and the body live as long as the subrequest, which nobody has to read that body for: all of it is there. One without
// a body has read that as soon as its parent has read its own.
struct SubrequestPlan {
  std::string_view uri;                 // decoded, beginning with '/'
  std::string_view args;
  Method method = Method::get;
  std::string_view method_text = "GET";
  Body* body = nullptr;                 // of the request; nullptr: none
  uint64_t body_bytes = 0;
  bool copies_fields = true;            // the parent's header fields are sent on (those of its body excepted)
  bool shares_variables = true;         // what is assigned in one is seen in the other, as in nginx
  uint64_t response_bytes_max = 0;      // of the body that is kept; what is more is cut, see is_cut()
  bool fails_if_longer = false;         // a longer body is an error of the response rather than cut short quietly
  // A status that nobody made a response for becomes an error page, as for a client. Else it is the whole answer: see has_response().
  bool makes_pages = true;
  bool (*keeps_body)(unsigned status) = nullptr;  // whether the body is kept, by the status; nullptr: yes. Nobody waits for another
  bool ends_with_client = true;         // while it runs, a client that leaves destroys the parent, and it with that
  // What answers it in place of a location: no phases, filters or error pages; the values of the parent's location hold.
  Content content = nullptr;
};

// One more below `request` is not made.
bool is_nested_too_deeply(const Request& request);

class Subrequest {
 public:
  // Makes the request; its head, variables and slots may be changed before run().
  Subrequest(Request& parent, const SubrequestPlan& plan);
  ~Subrequest();
  Subrequest(const Subrequest&) = delete;
  Subrequest& operator=(const Subrequest&) = delete;

  // To its end, error pages and log included.
  Task<Unit> run();

  Request& request() { return *request_; }
  // -- after run() --
  // 0: there is no response (the location closed the connection, or the requests are nested too deeply).
  unsigned status() const;
  // False: there is nothing but that, an error page if the plan lets one be made.
  bool has_response() const { return !request_->response.is_error_page; }
  const Headers& fields() const { return request_->response.head.headers; }
  std::string_view content_type() const { return request_->response.content_type; }
  // What is kept of the response's body.
  const Chain& body() const;
  // The body was longer than what is kept, or broke off.
  bool is_cut() const;

 private:
  Request& parent_;
  bool ends_with_client_;
  bool makes_pages_;
  Content content_;
  Arena::Owner arena_;
  RequestHead* head_;
  Capture* capture_;
  Request* request_;
};

// The two halves of making one, also for requests that outlive theirs (detached.h): the head, with views of the texts of `from`, and where
// it goes.
void fill_subrequest_head(RequestHead& head, const RequestHead& from, const SubrequestPlan& plan);
void aim_subrequest(Request& request, Server& server, const SubrequestPlan& plan, uint64_t connection_number);

// "/path?args" of the configuration or a script, as the uri and args of a plan: decoded and checked like an internal redirect. Nothing if
// it is not a path or leads outside.
struct SubrequestTarget {
  std::string_view uri, args;
};
std::optional<SubrequestTarget> parse_subrequest_target(std::string_view text, Arena& arena);

}  // namespace fairlead::http
