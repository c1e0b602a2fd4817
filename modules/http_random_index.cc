// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// random_index: any file of a folder stands for it. A content entry for URIs that end in a slash; the file is served by an internal
// redirect. Owns nothing.
#include "core/base/random.h"
#include "core/conf/module.h"
#include "core/conf/value.h"
#include "http/hooks.h"
#include "http/request/found_folder.h"

namespace fairlead {
namespace {

using namespace http;

struct RandomIndexConf {
  bool on = false;
  uint64_t entries_max = 1'000'000;
};

size_t random_below(size_t bound) {
  static Random random = Random::from_system();  // first used in a worker, so workers differ
  return static_cast<size_t>(random.next() % bound);
}

Task<Verdict> choose_file(Request& request) {
  const RandomIndexConf& own = conf<RandomIndexConf>(request);
  if (request.uri.empty() || request.uri.back() != '/') co_return Verdict::next();
  if (request.method != Method::get && request.method != Method::head && request.method != Method::post) co_return Verdict::next();
  Folder folder;
  Verdict verdict = co_await read_folder_of(request, static_cast<size_t>(own.entries_max), folder);
  if (!verdict.is_next()) co_return verdict;
  if (folder.is_cut) request.logger.warn("\"{}\" has more than {} entries, see random_index_max_entries", request.uri, own.entries_max);
  std::vector<FolderEntry>& files = folder.entries;
  std::erase_if(files, [](const FolderEntry& entry) { return entry.kind != FolderEntry::Kind::file; });
  if (files.empty()) co_return Verdict::next();
  const FolderEntry& chosen = files[random_below(files.size())];
  co_return Verdict::redirect(request.arena(), request.arena().join({request.uri, chosen.name}), request.args);
}

bool is_on(const Block& block) { return conf<RandomIndexConf>(block).on; }

constexpr Directive rows[] = {
    slot<RandomIndexConf, &RandomIndexConf::on>("random_index", in_location, "Serve any file of a folder for a URI that ends in a slash."),
    slot<RandomIndexConf, &RandomIndexConf::entries_max>("random_index_max_entries", in_location,
        "How many entries of a folder are read to choose from."),
};
constexpr PhaseEntry phases[] = {{.phase = Phase::content, .run = choose_file, .applies = is_on}};
constexpr Hooks hooks = {.phases = phases};

}  // namespace

extern constinit const Module http_random_index_module = {
    .name = "http_random_index", .conf = conf_of<RandomIndexConf>, .directives = rows, .http = &hooks};

}  // namespace fairlead
