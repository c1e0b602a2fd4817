// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// sub_filter: texts in responses replaced by others. This file decides which responses; the search is in patterns.h, the bytes are
// sub_body.h's.
#include "core/conf/module.h"
#include "core/conf/template.h"
#include "http/hooks.h"
#include "http/request/gzip_rules.h"
#include "http/request/media_types.h"
#include "modules/http_sub/sub_body.h"

namespace fairlead {
namespace {

using namespace http;
using namespace http_sub;

struct SubConf {
  std::vector<Substitution> substitutions;
  MediaTypes types;
  bool once = true;
  bool last_modified = false;
  Patterns patterns;            // unless one of them has variables
  bool is_pattern_fixed = true;
};

ConfResult<Unit> add_substitution(Line& line, SubConf& own) {
  if (line.word(1).empty()) return std::string("empty search pattern");
  auto pattern = compile_word(line, 1);
  if (!pattern) return pattern.error();
  auto replacement = compile_word(line, 2);
  if (!replacement) return replacement.error();
  own.substitutions.push_back({std::move(*pattern), std::move(*replacement)});
  return Unit();
}

ConfResult<Unit> add_types(Line& line, SubConf& own) { return add_media_types(line, own.types); }

ConfResult<Unit> finish_sub(Block&, SubConf& own) {
  own.patterns = Patterns();
  own.is_pattern_fixed = true;
  for (const Substitution& substitution : own.substitutions) {
    own.is_pattern_fixed &= substitution.pattern.is_literal();
    if (substitution.pattern.is_literal()) own.patterns.add(substitution.pattern.literal());
  }
  own.patterns.finish();
  return Unit();
}

// Patterns with variables are made for each response; one without a value is not looked for.
SubBody::Plan plan_for(Request& request, const SubConf& own) {
  SubBody::Plan plan{&own.patterns, {}, own.once};
  Patterns* made = own.is_pattern_fixed ? nullptr : request.arena().make<Patterns>();
  for (const Substitution& substitution : own.substitutions) {
    if (made) {
      std::string_view text = substitution.pattern.evaluate(request);
      if (text.empty()) continue;
      made->add(text);
    }
    plan.replacements.push_back(&substitution.replacement);
  }
  if (made) {
    made->finish();
    plan.patterns = made;
  }
  return plan;
}

void substitute(Request& request) {
  const SubConf& own = conf<SubConf>(request);
  Response& response = request.response;
  if (!response.body || response.head.framing.content_length == 0 || !own.types.hold(media_type_of(response))) return;
  SubBody::Plan plan = plan_for(request, own);
  if (plan.patterns->empty()) return;
  response.body = request.arena().make<SubBody>(request, *response.body, std::move(plan));
  response.head.framing.content_length = no_length;
  response.allow_ranges = false;
  response.head.headers.remove(KnownHeader::accept_ranges);
  if (own.last_modified) {
    weaken_tag(request);
    return;
  }
  response.head.headers.remove(KnownHeader::last_modified);
  response.head.headers.remove(KnownHeader::etag);
  response.last_modified = -1;
  response.etag = {};
}

bool is_wanted(const Block& block) { return !conf<SubConf>(block).substitutions.empty(); }

constexpr Directive rows[] = {
    custom<add_substitution, SubConf, &SubConf::substitutions>("sub_filter", in_http_any, words(2),
        "A text to look for in responses, case ignored, and what is put in its place.")
        .many()
        .takes("string replacement"),
    custom<add_types, SubConf, &SubConf::types>("sub_filter_types", in_http_any, words_from(1),
        "Media types of responses that are searched, beside text/html; `*` is all.")
        .takes("mime-type ...").usual("text/html").many(),
    slot<SubConf, &SubConf::once>("sub_filter_once", in_http_any, "Replace each text only where it is found first."),
    slot<SubConf, &SubConf::last_modified>("sub_filter_last_modified", in_http_any,
        "Keep Last-Modified of the response, and its ETag as a weak one."),
};
constexpr ResponseFilter filters[] = {{.stage = Stage::content, .apply = substitute, .applies = is_wanted}};
constexpr Hooks hooks = {.filters = filters};
constexpr std::string_view after[] = {"http_gunzip"};  // the text is in what was decompressed

}  // namespace

extern constinit const Module http_sub_module = {.name = "http_sub",
                                                 .conf = conf_of<SubConf>,
                                                 .directives = rows,
                                                 .after = after,
                                                 .finish = finish_of<finish_sub, SubConf>,
                                                 .http = &hooks};

}  // namespace fairlead
