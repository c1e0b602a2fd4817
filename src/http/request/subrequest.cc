// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/subrequest.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/conf/error_log.h"
#include "http/message/uri.h"
#include "http/request/client_facts.h"
#include "http/request/handle.h"

namespace fairlead::http {

static constexpr size_t arena_bytes = 4096;
static constexpr size_t file_piece_bytes = 32 * 1024;

// Takes the response in place of a client.
class Subrequest::Capture final : public Exchange {
 public:
  Capture(Connection& client, Body& body, const SubrequestPlan& plan)
      : client_(client), body_(body), bytes_max_(plan.response_bytes_max), fails_if_longer_(plan.fails_if_longer) {}

  Connection& connection() override { return client_; }
  Body& request_body() override { return body_; }
  void limit_body(uint64_t, uint64_t) override {}  // the parent's limits hold: the body is its own, or made by a module
  void send_interim(uint16_t, const Headers*) override {}
  Progress pump(Outgoing& response) override;
  Error error() const override { return error_; }
  void abandon() override { is_cut_ = true; }
  bool head_sent() const override { return head_sent_; }
  uint64_t received_body_bytes() const override { return 0; }
  uint64_t sent_bytes() const override { return seen_bytes_; }
  uint64_t sent_body_bytes() const override { return seen_bytes_; }

  const Chain& kept() const { return kept_; }
  bool is_cut() const { return is_cut_; }

 private:
  // False: no more is wanted.
  bool take(Chunk& chunk);
  bool take_file(const Chunk& chunk);
  bool take_bytes(Slice bytes);

  Connection& client_;
  Body& body_;
  uint64_t bytes_max_;
  bool fails_if_longer_;
  bool head_sent_ = false;
  bool is_cut_ = false;
  uint64_t seen_bytes_ = 0;
  Chain kept_;
  Error error_;
};

// What is not kept is still read for a while: an upstream connection whose reply was read whole can be used again.
static constexpr uint64_t drained_bytes_max = 64 * 1024;

bool Subrequest::Capture::take_bytes(Slice bytes) {
  seen_bytes_ += bytes.size;
  size_t room = bytes_max_ - std::min<uint64_t>(bytes_max_, kept_.size());
  if (bytes.size > room) is_cut_ = true;
  if (room > 0) kept_.push_back(bytes.cut_front(std::min(room, bytes.size)));
  if (!is_cut_) return true;
  if (fails_if_longer_) {
    error_ = Error{Fault::too_large, Side::local, 0, "the response of a subrequest is too large"};
    return false;
  }
  return seen_bytes_ < bytes_max_ + drained_bytes_max;
}

bool Subrequest::Capture::take_file(const Chunk& chunk) {
  for (uint64_t done = 0; done < chunk.file_bytes;) {
    auto wanted = static_cast<size_t>(std::min<uint64_t>(chunk.file_bytes - done, file_piece_bytes));
    SegmentRef segment = SegmentRef::make(wanted);
    ssize_t got;
    do got = pread(chunk.file.fd(), segment->bytes(), wanted, static_cast<off_t>(chunk.file_offset + done));
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
      error_ = Error{Fault::closed, Side::local, got < 0 ? errno : 0, "a file could not be read to its end"};
      return false;
    }
    done += static_cast<uint64_t>(got);
    const char* bytes = segment->bytes();
    if (!take_bytes(Slice(std::move(segment), bytes, static_cast<size_t>(got)))) return false;
  }
  return true;
}

bool Subrequest::Capture::take(Chunk& chunk) { return chunk.is_file() ? take_file(chunk) : take_bytes(std::move(chunk.bytes)); }

Progress Subrequest::Capture::pump(Outgoing& response) {
  head_sent_ = true;
  if (response.head_only) return Progress::done;
  for (;;) {
    Chunk chunk;
    switch (response.body->poll(chunk)) {
      case Poll::end: return Progress::done;
      case Poll::pending: return Progress::need_body;
      case Poll::failed: error_ = response.body->error(); return Progress::failed;
      case Poll::ready:
        if (take(chunk)) continue;
        return error_.fault == Fault::none ? Progress::done : Progress::failed;
    }
  }
}

static int depth_of(const Request& request) {
  int depth = 0;
  for (const Session* at = &request; at->parent; at = at->parent) ++depth;
  return depth;
}

Subrequest::Subrequest(Request& parent, const SubrequestPlan& plan)
    : parent_(parent), shares_variables_(plan.shares_variables), arena_(Arena::open(arena_bytes)) {
  head_ = arena_->make<RequestHead>(*arena_);
  make_head(plan);
  Body* body = plan.body ? plan.body : arena_->make<EmptyBody>();
  capture_ = arena_->make<Capture>(parent.client(), *body, plan);
  request_ = arena_->make<Request>(*arena_, *head_, *capture_, parent.facts);
  request_->is_subrequest = request_->is_internal = true;
  request_->parent = &parent;
  request_->server = parent.server;
  request_->enter(*parent.server->root);
  request_->logger = Logger(*conf<ErrorLogConf>(*request_).log, parent.logger.connection(), request_);
  request_->client_addr = parent.client_addr;
  request_->local_addr = parent.local_addr;
  request_->uri = plan.uri;
  request_->args = plan.args;
  request_->uri_extension = uri_extension(plan.uri);
  request_->uri_changed = true;
  request_->method = plan.method;
  request_->method_text = plan.method_text;
  if (shares_variables_) request_->take_assigned(parent);
}

Subrequest::~Subrequest() = default;

void Subrequest::make_head(const SubrequestPlan& plan) {
  const RequestHead& from = parent_.head;
  head_->method = plan.method;
  head_->method_text = plan.method_text;
  head_->form = from.form;
  head_->version_major = from.version_major;
  head_->version_minor = from.version_minor;
  head_->request_line = from.request_line;
  head_->target = from.target;
  head_->protocol = from.protocol;
  head_->request_uri = from.request_uri;
  head_->path = from.path;
  head_->args = from.args;
  head_->scheme = from.scheme;
  head_->host = from.host;
  head_->port = from.port;
  head_->bytes = from.bytes;
  if (plan.body) head_->framing.content_length = static_cast<int64_t>(plan.body_bytes);
  if (!plan.copies_fields) return;
  for (const Headers::Field& field : from.headers) {
    if (field.known == KnownHeader::content_length || field.known == KnownHeader::transfer_encoding || field.known == KnownHeader::expect)
      continue;
    head_->headers.add(field.known, field.name, field.value);
  }
}

Task<Unit> Subrequest::run() {
  if (depth_of(*request_) > subrequest_depth_max) {
    request_->logger.error("subrequests cycle while processing \"{}\"", request_->uri);
    co_return Unit();
  }
  AbortScope abortable(parent_);
  co_await handle_subrequest(*request_);
  if (shares_variables_) parent_.take_assigned(*request_);
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
