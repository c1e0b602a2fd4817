// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// forward(): the attempt loop. Picks a peer, tries it, decides about another try, relays the reply. What is sent and how a reply's fields
// are rewritten is the module's (http_proxy, ...), by way of ForwardPlan.
#pragma once

#include <new>
#include <type_traits>

#include "core/upstream/group.h"
#include "event/loop/task.h"
#include "event/tls/client.h"
#include "http/forward/attempt.h"
#include "http/forward/conf.h"
#include "http/request/request.h"

namespace fairlead::http {

// Where to, when the configuration does not say it but a variable.
struct RuntimeTarget {
  std::string_view host;  // a group's name, an address or a host name, without port
  uint16_t port = 0;
  bool has_port = false;
};

// Of a ForwardPlan, what is empty to begin with: cleared as one (http/message/message.h).
struct ForwardPlanParts {
  const GroupSpec* group = nullptr;        // nullptr: `target` says it
  RuntimeTarget target;
  std::string_view url_path;
  std::string_view greeting;               // sent ahead on a new connection; connections with another one are not shared
  // Makes the head of the request into `what`, whose body and framing are set; called when the body's length is settled, and again before
  // a try for which a chooser wants the request made anew.
  void (*build)(Request& request, AttemptRequest& what, const void* module_plan) = nullptr;
  // Edits the reply's fields before they become the response's (redirects, cookies).
  void (*edit_reply)(Request& request, ResponseHead& reply, const void* module_plan) = nullptr;
  // Before each try, `what` as build() made it: what has changed since (time that is left).
  void (*renew)(Request& request, AttemptRequest& what, const void* module_plan) = nullptr;
  // Before each try, whose record is there: whether its peer may be connected to (Next::denied).
  bool (*allows)(Request& request, const void* module_plan) = nullptr;
  // What a reply stands for in the retry policy besides its status: asked with the fields of its head and, where `judges_trailers`, with
  // those behind an empty body.
  Next (*judge)(const Headers& fields) = nullptr;
  const void* module_plan = nullptr;
  TlsClient* tls = nullptr;                // peers are spoken to with TLS; nullptr: in the clear
  std::string_view tls_host;               // of the URL, with its port: the name that peers must have unless the configuration says another
  std::string_view alpn_protocols;         // offered to peers, each behind its length; empty: none
  uint64_t time_ms = 0;                    // for all tries together, where that is less than conf.request_timeout; 0: no limit
  const h2::PeerLimits* limits = nullptr;  // with HTTP/2
  size_t tunnel_buffer_bytes = 0;          // of one read of a tunnel; 0: the usual
  bool judges_trailers = false;
  bool needs_head = false;                 // an answer without a head (HTTP/0.9), whose status is nobody's word, is malformed
  bool has_own_body = false;               // build() sends another body than the client's, which may be made of that
};

struct ForwardPlan : ForwardPlanParts {
  // In the request's arena: forward() can be called by a plain function that gives the task on.
  static ForwardPlan& make(Request& request, const ForwardConf& conf, const PeerProtocol& protocol) {
    static_assert(std::is_trivially_destructible_v<ForwardPlan>);
    return *new (request.arena().allocate(sizeof(ForwardPlan), alignof(ForwardPlan))) ForwardPlan(conf, protocol);
  }
  ForwardPlan(const ForwardPlan&) = delete;
  ForwardPlan& operator=(const ForwardPlan&) = delete;

  const ForwardConf& conf;
  const PeerProtocol& protocol;
  std::string_view url_scheme = "http://"; // for the log and $upstream_addr's error lines
  bool asks_tls_hooks = true;              // the location's hooks for handshakes with peers have a say
  bool must_choose_alpn = true;            // a peer that chooses none of them is no peer
  bool can_send_chunked = true;            // the protocol to the peer can send a body of unknown length

 private:
  ForwardPlan(const ForwardConf& by, const PeerProtocol& with) : ForwardPlanParts(), conf(by), protocol(with) {}
};

Task<Verdict> forward(Request& request, const ForwardPlan& plan);

class StoredBody;

// The reply that an attempt got becomes the response, and is sent. (relay.cc)
struct Relay {
  Request& request;
  const ForwardPlan& plan;
  Attempt& attempt;
  TryRecord& record;
  Verdict verdict = Verdict::done();
  bool sent = false;             // the client has all it gets
  StoredBody* stored = nullptr;  // keeps a copy (proxy_store); in the request's arena
  // Ends the try before the response does: what the peer had to say has been read (Response::outlasts_reply).
  void (*let_go)(void* of_try) = nullptr;
  void* of_try = nullptr;
};
// Plain: true if that is all, with `verdict` settled; false: something has to be waited for, call finish_relay().
bool try_relay(Relay& relay);
Task<Verdict> finish_relay(Relay& relay);

// A 103 of a peer, with these fields, goes on to the client if `early_hints` says so. The list is edited. (relay.cc)
void pass_early_hints(Request& request, const ForwardConf& conf, Headers& fields);

}  // namespace fairlead::http
