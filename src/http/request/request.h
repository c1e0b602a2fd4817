// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Request: one HTTP request from its head to the log. Lies in its own arena, which the protocol's serve frame owns. A module's state goes
// to its slot (Session::slot); a member of this class is used by three files or more.
#pragma once

#include <utility>
#include <vector>

#include "core/conf/session.h"
#include "http/conf/server.h"
#include "http/message/message.h"
#include "http/request/exchange.h"
#include "http/request/verdict.h"

namespace fairlead {
class Worker;
}
namespace fairlead::http {

class Body;
class ClientGone;
class ReplayBody;
class Spool;
struct ClientFacts;

// What became of one try on a peer. In the request's arena; finished by ~Attempt, so the log has it whatever was destroyed.
struct TryRecord {
  std::string_view peer;            // as in $upstream_addr
  std::string_view group;           // the upstream's name, or the host
  std::string_view url_scheme, url_path;  // around `peer` they make "http://127.0.0.1:80/path", for the error log
  uint64_t started_ms = 0;
  int64_t queue_ms = -1;            // in the queue for a peer, before the try; -1: in none
  int64_t connect_ms = -1;          // -1: the phase was not reached
  int64_t header_ms = -1;
  int64_t response_ms = -1;
  uint16_t status = 0;              // of the reply, or what its failure stands for (502, 504); 0: not known yet, or the client's failure
  uint64_t sent_bytes = 0, received_bytes = 0, body_bytes = 0;  // body: decoded
  Error error;                      // fault none: it was answered
  std::string_view reason;          // short flag for $upstream_fail_reason: UF, UT, UC, ...
  bool new_group = false;           // the first try of another group (after an internal redirect): joined with " : "
  TryRecord* next = nullptr;
};

// Of a Response, what is empty or off to begin with: cleared as one (http/message/message.h).
struct ResponseParts {
  std::string_view content_type;       // with its charset; goes out as Content-Type
  std::string_view content_type_given; // by an X-Accel-Redirect: goes before what the new location says; not in error pages
  std::string_view charset_given;      // by an X-Accel-Charset: the charset to send it in
  std::string_view etag;
  std::string_view content_type_of_reply;  // a relayed reply has it in its fields already; filters (gzip) want to know it
  // A second; limit_rate set at run time ($limit_rate, X-Accel-Limit-Rate). 0: the configuration's, UINT64_MAX: no limit.
  uint64_t rate_bytes = 0;
  // Set by a filter instead of settling the head: the response is dropped (but for Content-Range) and the request goes on with this status.
  uint16_t refused_status = 0;
  bool is_reply = false;               // a peer's, relayed
  bool foreign_location = false;       // Location is a peer's own: a relative one stays what it is
  bool allow_ranges = false;           // byte ranges of this body make sense
  bool one_range_only = false;         // ... and it can be cut in one place: several ranges get the whole
  bool outlasts_reply = false;         // it goes on when the peer's reply has ended: so does not the try on that peer
  bool is_piece = false;               // of another response's body, byte for byte: what filters do is done to the whole
  bool is_error_page = false;
  bool reads_ahead = false;            // while the client is slow, its rest may be read into memory and a file
};

// The response as the engine sees it: what goes to the Exchange plus what filters need to know.
struct Response : Outgoing, ResponseParts {
  explicit Response(Arena& arena) : Outgoing(arena), ResponseParts() {}
  uint16_t status() const { return head.status; }
  bool adds_server = true;             // says by whom it was made, if it says nothing else
  int64_t last_modified = -1;          // seconds since 1970, -1: none; goes out as Last-Modified
  int64_t last_modified_of_reply = -1; // as content_type_of_reply (not_modified)
  uint64_t keepalive_timeout_ms = UINT64_MAX;  // of the idle connection behind it; UINT64_MAX: the default server's
};

// Of a Request, likewise.
struct RequestParts {
  Server* server = nullptr;
  Location* location = nullptr;
  std::string_view uri;          // normalised, decoded; changed by rewrite and redirects
  std::string_view args;
  std::string_view fail_reason;  // short flag for $fail_reason
  std::string_view matched_server_name;
  std::string_view doing;        // for the error log: "reading upstream" and the like; empty: nothing that needs saying (see While)
  TryRecord* tries = nullptr;    // oldest first
  const Headers* upstream_headers = nullptr;   // of the last reply; in the arena
  const Headers* upstream_trailers = nullptr;  // behind its body, once that was read
  Spool* spooled_body = nullptr; // the request's body once it was read ahead; in the arena
  ReplayBody* passed_body = nullptr;  // ... else once somebody began to pull it; in the arena (pass_body)
  uint64_t body_bytes_max = 0;   // what the places on the way here allow its body (client_max_body_size); 0: not in a location yet
  int redirects = 0;             // internal ones, and changes of the location by rewrites: bounded together
  int rewrites = 0;              // ... of them the latter, with which a request goes on as it is
  uint16_t error_status = 0;     // the status an error_page was taken for; the response keeps it unless told otherwise
  bool uri_changed = false;      // differs from what the client sent: `request_uri` may not be passed on as it is
  bool wants_location = false;   // a rewrite changed the URI: its location is found when the script has ended
  bool left_location = false;    // rewritten without a new location: the URI need not begin with the location's name
  bool alias_takes_uri = false;  // in a regex location: `alias` is the folder of the URI, not the whole path (try_files)
  bool is_subrequest = false;    // made by Subrequest: no access phase, and its response goes to whoever asked
  bool is_internal = false;      // reached by a redirect, error_page, try_files: `internal` locations are open
  bool in_error_page = false;
  bool led_by_error_page = false;  // once one was taken, to the end
  bool body_is_dropped = false;  // what the client sends of it is nobody's any more (drop_body)
  bool logged = false;
  bool is_pipelined = false;     // its first bytes came before the answer to the request before it was sent
};

class Request : public Session, public LogContext, public RequestParts {
 public:
  Request(Arena& own_arena, RequestHead& request_head, Exchange& client_exchange, const ClientFacts& client_facts);
  ~Request();

  RequestHead& head;             // as the client sent it; modules may edit the fields that are passed on
  Exchange& exchange;
  const ClientFacts& facts;

 private:
  Worker& worker_;  // asked for all the time: not by way of the connection
  Loop& loop_;

 public:
  Response response;

  Connection& client() { return exchange.connection(); }
  Loop& loop() { return loop_; }
  Worker& worker() const { return worker_; }
  // The client's own request: this one, or the one that this subrequest is a part of.
  Request& origin();

  Method method;                 // may be changed to GET by redirects
  std::string_view method_text;
  bool script_quotes_captures = true;  // no rewrite has matched in this run of the script: captures in its texts are escaped, as in nginx
  uint64_t started_ms = 0;       // monotonic, at the first byte of the head
  uint64_t connection_requests;  // of the connection, up to this one

  // The body as a module should read it: the spooled one if there is one, else the passed one.
  Body& body();
  std::string_view host() const;  // of the request line or Host, else the server's name
  TryRecord& add_try();
  TryRecord* last_try() const;

  // ", client: ..., server: ..., request: \"...\"" and so on, as nginx ends its error lines.
  void append(LogText& to) const override;

  // Takes the values of a location (or server level) from now on.
  void enter(Location& place);

 private:
  friend class Handling;
  friend class AbortScope;
  friend class AbortPause;
  friend class ClientGone;
  int abort_scopes_ = 0;
  List<ClientGone> gone_waiters_;
  Resumable* until_gone_ = nullptr;
};

constexpr int internal_redirects_max = 10;

// While one lives, lines of the error log say what was being done: " while reading upstream".
class [[nodiscard]] While {
 public:
  While(Request& request, std::string_view doing) : request_(request), before_(std::exchange(request.doing, doing)) {}
  ~While() { request_.doing = before_; }
  While(const While&) = delete;
  While& operator=(const While&) = delete;

 private:
  Request& request_;
  std::string_view before_;
};

// For variables and hooks of http: the session is a Request.
inline Request& as_request(Session& session) { return static_cast<Request&>(session); }

// While one lives, a client that goes away destroys the running request. Static files and `return` hold none, so a half-closed client
// still gets its answer.
class AbortScope {
 public:
  explicit AbortScope(Request& request) : request_(request) {
    ++request_.abort_scopes_;
    if (request_.until_gone_ && request_.exchange.is_gone()) request_.loop().ready(*request_.until_gone_);
  }
  ~AbortScope() { --request_.abort_scopes_; }
  AbortScope(const AbortScope&) = delete;
  AbortScope& operator=(const AbortScope&) = delete;

 private:
  Request& request_;
};

// While one lives, the client's leaving is not an abort: a tunnel sees it as the end of a stream.
class AbortPause {
 public:
  explicit AbortPause(Request& request) : request_(request), scopes_(request.abort_scopes_) { request_.abort_scopes_ = 0; }
  ~AbortPause() { request_.abort_scopes_ = scopes_; }
  AbortPause(const AbortPause&) = delete;
  AbortPause& operator=(const AbortPause&) = delete;

 private:
  Request& request_;
  int scopes_;
};

// co_await ClientGone(request): until the client has gone. Nothing is destroyed for that, and nothing is kept from it: see AbortScope. Of a
// subrequest it is the client of the request it is a part of.
class ClientGone : public Resumable {
 public:
  explicit ClientGone(Request& request);
  ClientGone(const ClientGone&) = delete;
  ClientGone& operator=(const ClientGone&) = delete;
  bool await_ready() const { return request_.exchange.is_gone(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> frame) {
    frame_ = &frame.promise();
    request_.gone_waiters_.push_back(*this);
  }
  void await_resume() const {}

 private:
  static void on_turn(Resumable& self);
  Request& request_;
  PromiseBase* frame_ = nullptr;
};

}  // namespace fairlead::http
