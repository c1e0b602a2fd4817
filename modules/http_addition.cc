// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_addition: what subrequests answer is put before and behind a response's body.
#include <array>

#include "core/base/format.h"
#include "core/conf/module.h"
#include "core/conf/value.h"
#include "http/hooks.h"
#include "http/request/gzip_rules.h"
#include "http/request/media_types.h"
#include "http/request/subrequest.h"

namespace fairlead {
namespace {

using namespace http;

struct AdditionConf {
  std::string_view before, after;  // URIs; empty: none
  MediaTypes types;
  Size bytes_max{1024 * 1024};
};

template <std::string_view AdditionConf::*Field>
ConfResult<Unit> set_uri(Line& line, AdditionConf& own) {
  std::string_view word = line.word(1);
  if (!word.empty() && word[0] != '/') return format("invalid URI \"{}\"", word);
  own.*Field = word;
  return Unit();
}

ConfResult<Unit> add_types(Line& line, AdditionConf& own) { return add_media_types(line, own.types); }

// A subrequest is made when its turn comes. What goes wrong in it is in the log, and nothing is put in its place, as in nginx.
class AddedBody final : public Body {
 public:
  AddedBody(Request& request, Body& source, const AdditionConf& conf) : request_(request), source_(source), conf_(conf) {}

  Poll poll(Chunk& chunk) override {
    for (; step_ != Step::end; step_ = static_cast<Step>(static_cast<int>(step_) + 1)) {
      Poll polled = step_ == Step::source ? source_.poll(chunk) : poll_part(step_ == Step::before ? conf_.before : conf_.after, chunk);
      if (polled != Poll::end) return polled;
      part_ = nullptr;
    }
    return Poll::end;
  }
  Task<Result<Unit>> ready() override { return step_ == Step::source ? source_.ready() : run_part(); }
  Error error() const override { return source_.error(); }
  const Headers* trailers() const override { return source_.trailers(); }

 private:
  enum class Step : uint8_t { before, source, after, end };

  Poll poll_part(std::string_view uri, Chunk& chunk) {
    if (uri.empty()) return Poll::end;
    if (!part_) {
      target_ = parse_subrequest_target(uri, request_.arena());
      if (!target_) return Poll::end;
      SubrequestPlan plan;
      plan.uri = target_->uri;
      plan.args = target_->args;
      plan.response_bytes_max = conf_.bytes_max;
      plan.fails_if_longer = true;
      part_ = request_.arena().make<Subrequest>(request_, plan);
      is_run_ = false;
      next_ = 0;
    }
    if (!is_run_) return Poll::pending;
    if (next_ == part_->body().count()) return Poll::end;
    const Slice& slice = part_->body()[next_++];
    chunk.clear();
    chunk.bytes = Slice(slice.owner, slice.data, slice.size);
    return Poll::ready;
  }
  Task<Result<Unit>> run_part() {
    co_await part_->run();
    is_run_ = true;
    co_return Unit();
  }

  Request& request_;
  Body& source_;
  const AdditionConf& conf_;
  Step step_ = Step::before;
  std::optional<SubrequestTarget> target_;
  Subrequest* part_ = nullptr;  // in the request's arena
  bool is_run_ = false;
  size_t next_ = 0;
};

void add(Request& request) {
  Response& response = request.response;
  const AdditionConf& own = conf<AdditionConf>(request);
  if (response.status() != 200 || request.is_subrequest || !response.body || !own.types.hold(media_type_of(response))) return;
  response.head.framing.content_length = no_length;
  response.allow_ranges = false;
  response.head.headers.remove(KnownHeader::accept_ranges);
  weaken_tag(request);  // as nginx: what surrounds it is not counted as a change of it
  response.body = request.arena().make<AddedBody>(request, *response.body, own);
}

bool is_wanted(const Block& block) {
  const AdditionConf& own = conf<AdditionConf>(block);
  return !own.before.empty() || !own.after.empty();
}

constexpr std::array rows = {
    custom<set_uri<&AdditionConf::before>, AdditionConf, &AdditionConf::before>(
        "add_before_body", in_http_any, words(1), "A subrequest whose response goes before the body; \"\" for none.")
        .takes("uri"),
    custom<set_uri<&AdditionConf::after>, AdditionConf, &AdditionConf::after>(
        "add_after_body", in_http_any, words(1), "A subrequest whose response goes behind the body; \"\" for none.")
        .takes("uri"),
    custom<add_types, AdditionConf, &AdditionConf::types>("addition_types", in_http_any, words_from(1),
                                                          "Media types of responses that are added to, beside text/html; `*` is all.")
        .takes("mime-type ...").usual("text/html").many(),
    slot<AdditionConf, &AdditionConf::bytes_max>("addition_max_size", in_http_any, "The largest response that is added."),
};

constexpr std::array filters = {ResponseFilter{.stage = Stage::content, .apply = &add, .applies = &is_wanted}};
constexpr Hooks hooks = {.phases = {}, .filters = filters, .forward = {}};
constexpr std::string_view after[] = {"http_gunzip", "http_sub"};

}  // namespace

extern constinit const Module http_addition_module = {
    .name = "http_addition", .conf = conf_of<AdditionConf>, .directives = rows, .after = after, .http = &hooks};

}  // namespace fairlead
