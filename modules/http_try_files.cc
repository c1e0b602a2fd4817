// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `try_files`: the first of several files that exists becomes the URI; if none does, the last word says what is next.
#include <cerrno>
#include <vector>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/module.h"
#include "core/conf/template.h"
#include "http/conf/core_conf.h"
#include "http/request/file_path.h"
#include "http/request/found_file.h"
#include "http/request/lead_on.h"

namespace fairlead {
namespace {

using http::CoreConf;
using http::Location;
using http::Request;
using http::Verdict;

struct TryFilesConf {
  struct Candidate {
    Template uri;
    bool is_folder = false;  // written with a slash at its end
  };
  std::vector<Candidate> candidates;
  // What is done if none exists: a status, else a URI or a named location.
  unsigned status = 0;
  Template last;
};

ConfResult<Unit> set_try_files(Line& line, TryFilesConf& own) {
  size_t last = line.words().size() - 1;
  for (size_t i = 1; i < last; ++i) {
    std::string_view word = line.word(i);
    TryFilesConf::Candidate candidate;
    candidate.is_folder = word.ends_with('/');
    auto uri = compile_text(line, candidate.is_folder ? word.substr(0, word.size() - 1) : word);
    if (!uri) return uri.error();
    candidate.uri = std::move(*uri);
    own.candidates.push_back(std::move(candidate));
  }
  if (line.word(last).starts_with('=')) {
    auto status = parse_decimal(line.word(last).substr(1));
    if (!status || *status > 999) return format("invalid code \"{}\"", line.word(last));
    own.status = static_cast<unsigned>(*status);
    return Unit();
  }
  auto uri = compile_word(line, last);
  if (!uri) return uri.error();
  own.last = std::move(*uri);
  return Unit();
}

// The URI that a candidate's file has for the location, whose alias stands for a part of it.
std::string_view uri_of(Request& request, const TryFilesConf::Candidate& candidate) {
  std::string_view text = candidate.uri.evaluate(request);
  const CoreConf& core = conf<CoreConf>(request);
  if (!core.is_alias || core.alias_of->match == Location::Match::regex) return text;
  std::string_view name = core.alias_of->name;
  // Names with variables ($uri) hold the location's own part, literal ones are below the alias.
  if (!candidate.uri.is_literal() && text.starts_with(request.uri.substr(0, name.size()))) return text;
  return request.arena().join({request.uri.substr(0, name.size()), text});
}

bool exists(Request& request, const char* path, bool is_folder) {
  OpenedFile found = find_file(request, path, http::FileWish::look);
  if (!found.err) return found.facts.is_folder == is_folder;
  bool is_expected = found.err == ENOENT || found.err == ENOTDIR || found.err == ENAMETOOLONG || found.err == EACCES || found.err == ELOOP;
  if (!is_expected) request.logger.crit(Errno{found.err}, "{} \"{}\" failed", found.call, path);
  return false;
}

// The candidate exists: it is the request's URI from now on.
void take(Request& request, std::string_view uri, bool is_folder) {
  const CoreConf& core = conf<CoreConf>(request);
  if (core.is_alias && core.alias_of->match == Location::Match::regex) {
    if (is_folder || uri.empty()) return;  // "": what the alias names
    request.alias_takes_uri = true;
  }
  request.uri = uri;
}

Verdict go_on(Request& request, const TryFilesConf& own) {
  if (own.status) return Verdict::status(own.status);
  return lead_on(request, own.last.evaluate(request), "");
}

Verdict try_files(Request& request) {
  const TryFilesConf& own = conf<TryFilesConf>(request);
  const CoreConf& core = conf<CoreConf>(request);
  bool regex_alias = core.is_alias && core.alias_of->match == Location::Match::regex;
  for (const TryFilesConf::Candidate& candidate : own.candidates) {
    std::string_view uri = uri_of(request, candidate);
    unsigned refusal = 0;
    std::string_view base = map_path(request, regex_alias ? request.uri : uri, &refusal);
    if (refusal == 404) continue;
    if (base.empty()) return Verdict::status(refusal);
    // In a regex location `alias` is evaluated whole, and the candidate stands behind it.
    std::string_view whole = regex_alias ? request.arena().join({base, uri}) : base;
    if (regex_alias && http::climbs(whole.substr(base.size() - 1))) continue;
    const char* path = regex_alias ? request.arena().copy_z(whole) : base.data();
    if (!exists(request, path, candidate.is_folder)) continue;
    take(request, uri, candidate.is_folder);
    return Verdict::next();
  }
  return go_on(request, own);
}

bool is_tried(const Block& block) { return block.is_set("try_files"); }

constexpr Directive rows[] = {
    custom<set_try_files, TryFilesConf>("try_files", in_server | in_location, words_from(2),
                                        "Serves the first file that exists, else goes on with the last URI, named location or status.")
        .takes("file ... uri | file ... =code"),
};

constexpr http::PhaseEntry phases[] = {{.phase = http::Phase::precontent, .check = &try_files, .applies = &is_tried}};
constexpr http::Hooks hooks = {.phases = phases};

}  // namespace

extern constinit const Module http_try_files_module = {
    .name = "http_try_files",
    .conf = conf_of<TryFilesConf>,
    .directives = rows,
    .http = &hooks,
};

}  // namespace fairlead
