// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/subrequest.h"

#include "core/conf/error_log.h"
#include "http/conf/location.h"
#include "http/message/uri.h"
#include "http/request/capture.h"
#include "http/request/client_facts.h"
#include "http/request/handle.h"
#include "http/request/read_body.h"

namespace fairlead::http {

static constexpr size_t arena_bytes = 4096;

bool is_nested_too_deeply(const Request& request) {
  int depth = 1;
  for (const Session* at = &request; at->parent; at = at->parent) ++depth;
  return depth > subrequest_depth_max;
}

// A place with the values of `location` and none of its hooks.
static void enter_bare(Request& request, const Location& location) {
  Location& place = *request.arena().make<Location>();
  place.block = location.block;
  place.server = location.server;
  place.name = location.name;
  request.enter(place);
}

Subrequest::Subrequest(Request& parent, const SubrequestPlan& plan)
    : parent_(parent),
      ends_with_client_(plan.ends_with_client),
      makes_pages_(plan.makes_pages),
      content_(plan.content),
      arena_(Arena::open(arena_bytes)) {
  head_ = arena_->make<RequestHead>(*arena_);
  fill_subrequest_head(*head_, parent.head, plan);
  Body* body = plan.body ? plan.body : arena_->make<EmptyBody>();
  capture_ = arena_->make<Capture>(parent.client(), *body, plan.response_bytes_max, plan.fails_if_longer);
  if (plan.keeps_body) capture_->keep_only(plan.keeps_body);
  request_ = arena_->make<Request>(*arena_, *head_, *capture_, parent.facts);
  request_->parent = &parent;
  aim_subrequest(*request_, *parent.server, plan, parent.logger.connection());
  request_->client_addr = parent.client_addr;
  request_->local_addr = parent.local_addr;
  if (plan.shares_variables) request_->share_assigned(parent);
  if (content_) enter_bare(*request_, *parent.location);
  if (plan.body || parent.spooled_body) give_body(*request_, *body);
}

Subrequest::~Subrequest() = default;

void fill_subrequest_head(RequestHead& head, const RequestHead& from, const SubrequestPlan& plan) {
  head.method = plan.method;
  head.method_text = plan.method_text;
  head.form = from.form;
  head.version_major = from.version_major;
  head.version_minor = from.version_minor;
  head.request_line = from.request_line;
  head.target = from.target;
  head.protocol = from.protocol;
  head.request_uri = from.request_uri;
  head.path = from.path;
  head.args = from.args;
  head.scheme = from.scheme;
  head.host = from.host;
  head.port = from.port;
  head.bytes = from.bytes;
  if (plan.body) head.framing.content_length = static_cast<int64_t>(plan.body_bytes);
  if (!plan.copies_fields) return;
  for (const Headers::Field& field : from.headers) {
    if (field.known == KnownHeader::content_length || field.known == KnownHeader::transfer_encoding || field.known == KnownHeader::expect)
      continue;
    head.headers.add(field.known, field.name, field.value);
  }
}

void aim_subrequest(Request& request, Server& server, const SubrequestPlan& plan, uint64_t connection_number) {
  request.is_subrequest = request.is_internal = true;
  request.server = &server;
  request.enter(*server.root);
  request.logger = Logger(*conf<ErrorLogConf>(request).log, connection_number, &request);
  request.uri = plan.uri;
  request.args = plan.args;
  request.uri_changed = true;
  request.method = plan.method;
  request.method_text = plan.method_text;
}

Task<Unit> Subrequest::run() {
  if (is_nested_too_deeply(parent_)) {
    request_->logger.error("subrequests cycle while processing \"{}\"", request_->uri);
    co_return Unit();
  }
  std::optional<AbortScope> abortable;
  if (ends_with_client_) abortable.emplace(parent_);
  if (content_) co_await answer_subrequest(*request_, content_);
  else co_await handle_subrequest(*request_, makes_pages_);
  co_return Unit();
}

unsigned Subrequest::status() const { return capture_->head_sent() ? request_->response.head.status : 0; }
const Chain& Subrequest::body() const { return capture_->kept(); }
bool Subrequest::is_cut() const { return capture_->is_cut(); }

std::optional<SubrequestTarget> parse_subrequest_target(std::string_view text, Arena& arena) {
  if (text.empty() || text[0] != '/') return std::nullopt;
  auto uri = parse_internal_uri(text, arena);
  if (!uri) return std::nullopt;
  return SubrequestTarget{uri->path, uri->args};
}

}  // namespace fairlead::http
