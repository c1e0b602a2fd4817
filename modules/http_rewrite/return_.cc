// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_rewrite/return_.h"

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/template.h"
#include "http/request/content_type.h"
#include "http/request/response.h"
#include "http/request/script.h"

namespace fairlead {
namespace {

using http::Request;
using http::ScriptStep;
using http::Verdict;

// The connection is closed without an answer: nginx's own status for it, and 408, which it treats alike.
constexpr bool closes_silently(unsigned status) { return status == 444 || status == 408; }

bool is_redirect(unsigned status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

class Return final : public http::ScriptStatement {
 public:
  Return(unsigned status, Template text) : status_(status), text_(std::move(text)) {}

  ScriptStep run(Request& request, Verdict& verdict) const override {
    verdict = answer(request);
    return ScriptStep::finished;
  }

 private:
  Verdict answer(Request& request) const {
    bool without_text = text_.is_empty_literal();
    request.response.head.status = static_cast<uint16_t>(status_);  // what $status is in the text and in the log
    if (closes_silently(status_) && without_text) return Verdict::close();
    if (status_ >= 400 && without_text) return Verdict::status(status_);
    std::string_view text = text_.evaluate(request);
    if (is_redirect(status_)) {
      set_location(request, text);
      return Verdict::status(status_);
    }
    set_text(request, status_, content_type_of(request), text);
    return Verdict::respond();
  }

  unsigned status_;
  Template text_;
};

}  // namespace

ConfResult<Unit> add_return(Line& line) {
  std::string_view first = line.word(1);
  auto status = parse_decimal(first);
  size_t text_at = 2;
  bool is_url = first.starts_with("http://") || first.starts_with("https://") || first.starts_with("$scheme");
  if (!status && line.word_count() == 1 && is_url) {
    status = 302;
    text_at = 1;
  }
  if (!status || *status > 999) return format("invalid return code \"{}\"", first);
  Template text("");
  if (text_at < line.words().size()) {
    auto compiled = compile_word(line, text_at);
    if (!compiled) return compiled.error();
    text = std::move(*compiled);
  }
  add_statement(line, line.arena().make<Return>(static_cast<unsigned>(*status), std::move(text)));
  return Unit();
}

}  // namespace fairlead
