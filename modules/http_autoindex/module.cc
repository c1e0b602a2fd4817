// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// autoindex: what lies in a folder that has no index file, as a page or for programs. The texts are listing.h's; the folder is read on a
// file thread. The listing lies in the request's arena.
#include "core/base/text.h"
#include "core/conf/module.h"
#include "core/conf/value.h"
#include "http/conf/variables.h"
#include "http/hooks.h"
#include "http/request/found_folder.h"
#include "http/request/response.h"
#include "modules/http_autoindex/listing.h"

namespace fairlead {

namespace http_autoindex {
enum class Format : uint8_t { html, json, jsonp, xml };
}
template <>
struct EnumWords<http_autoindex::Format> {
  using F = http_autoindex::Format;
  static constexpr EnumWord<F> all[] = {{"html", F::html}, {"json", F::json}, {"jsonp", F::jsonp}, {"xml", F::xml}};
};

namespace {

using namespace http;
using namespace http_autoindex;

struct AutoindexConf {
  bool on = false;
  Format format = Format::html;
  bool exact_size = true;
  bool local_time = false;
  uint64_t entries_max = 1'000'000;
};

// Written when the body is pulled: the head then has the charset, which the width of names depends on.
class ListingBody final : public Body {
 public:
  ListingBody(Request& request, std::string_view callback) : request_(request), callback_(callback) {}
  std::vector<FolderEntry> entries;

  Poll poll(Chunk& chunk) override {
    if (given_) return Poll::end;
    given_ = true;
    text_ = write();
    chunk.clear();
    chunk.bytes = Slice(text_);
    return Poll::ready;
  }
  Task<Result<Unit>> ready() override { co_return Unit(); }

 private:
  std::string write() {
    const AutoindexConf& own = conf<AutoindexConf>(request_);
    sort_entries(entries);
    if (own.format == Format::xml) return xml_listing(entries);
    if (own.format != Format::html) return json_listing(entries, callback_);
    HtmlStyle style;
    style.exact_size = own.exact_size;
    style.local_time = own.local_time;
    style.utf8 = ends_with_nocase(request_.response.content_type, "charset=utf-8");
    return html_listing(request_.uri, entries, style);
  }

  Request& request_;
  std::string_view callback_;
  std::string text_;
  bool given_ = false;
};

std::string_view type_of(Format format, std::string_view callback) {
  switch (format) {
    case Format::html: return "text/html";
    case Format::xml: return "text/xml; charset=utf-8";
    case Format::json: break;
    case Format::jsonp: break;
  }
  return callback.empty() ? "application/json" : "application/javascript";
}

Task<Verdict> list_folder(Request& request) {
  const AutoindexConf& own = conf<AutoindexConf>(request);
  if (request.uri.empty() || request.uri.back() != '/') co_return Verdict::next();
  if (request.method != Method::get && request.method != Method::head) co_return Verdict::next();
  std::string_view callback;
  if (own.format == Format::jsonp) {
    callback = find_argument(request.args, "callback").text;
    if (!is_callback(callback)) {
      request.logger.info("client sent invalid callback name: \"{}\"", callback);
      co_return Verdict::status(400);
    }
  }
  Folder folder;
  Verdict verdict = co_await read_folder_of(request, static_cast<size_t>(own.entries_max), folder);
  if (!verdict.is_next()) co_return verdict;
  if (folder.is_cut) {
    request.logger.error("\"{}\" has more than {} entries, see autoindex_max_entries", request.uri, own.entries_max);
    co_return Verdict::status(500);
  }
  auto* body = request.arena().make<ListingBody>(request, callback);
  body->entries = std::move(folder.entries);
  request.response.head.status = 200;
  request.response.content_type = type_of(own.format, callback);
  request.response.body = body;
  co_return co_await send(request);
}

bool is_on(const Block& block) { return conf<AutoindexConf>(block).on; }

constexpr Directive rows[] = {
    slot<AutoindexConf, &AutoindexConf::on>("autoindex", in_http_any,
                                            "Answer with a list of what lies in a folder that has no index file."),
    slot<AutoindexConf, &AutoindexConf::format>("autoindex_format", in_http_any, "How the list is written.")
        .takes("html | xml | json | jsonp"),
    slot<AutoindexConf, &AutoindexConf::exact_size>("autoindex_exact_size", in_http_any,
        "Sizes in HTML in bytes, or rounded to kilo, mega and gigabytes."),
    slot<AutoindexConf, &AutoindexConf::local_time>("autoindex_localtime", in_http_any, "Times in HTML in the local time zone, or in UTC."),
    slot<AutoindexConf, &AutoindexConf::entries_max>("autoindex_max_entries", in_http_any,
        "A folder with more entries is not listed but an error, 500."),
};
constexpr PhaseEntry phases[] = {{.phase = Phase::content, .run = list_folder, .applies = is_on}};
constexpr Hooks hooks = {.phases = phases};
constexpr std::string_view after[] = {"http_index", "http_random_index"};

}  // namespace

extern constinit const Module http_autoindex_module = {
    .name = "http_autoindex", .conf = conf_of<AutoindexConf>, .directives = rows, .after = after, .http = &hooks};

}  // namespace fairlead
