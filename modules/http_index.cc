// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// `index`: the file that stands for a folder. A content entry for URIs that end in a slash; the file found is served by an internal
// redirect, so its own location holds for it. Owns nothing.
#include <cerrno>
#include <vector>

#include "core/base/format.h"
#include "core/conf/template.h"
#include "http/conf/core_conf.h"
#include "http/hooks.h"
#include "http/request/file_path.h"
#include "http/request/found_file.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

using namespace http;

struct IndexConf {
  std::vector<Template> files;  // none: index.html
};

ConfResult<Unit> set_index(Line& line, IndexConf& own) {
  for (size_t i = 1; i < line.words().size(); ++i) {
    if (line.word(i).starts_with('/') && i != line.words().size() - 1)
      line.warn("only the last index in \"index\" directive should be absolute");
    if (line.word(i).empty()) return format("index \"{}\" in \"index\" directive is invalid", line.word(i));
    auto file = compile_word(line, i);
    if (!file) return file.error();
    own.files.push_back(std::move(*file));
  }
  return Unit();
}

// Without the folder none of its files can be there, and the log should say so once. next(): it is there.
Verdict check_folder(Request& request, std::string_view path) {
  std::string_view folder = path.substr(0, path.rfind('/') + 1);
  if (folder.size() > 1) folder.remove_suffix(1);
  OpenedFile found = find_file(request, {request.arena().copy_z(folder), folder.size()}, FileWish::look);
  if (found.facts.is_folder) return Verdict::next();
  int err = found.err ? found.err : ENOTDIR;
  if (err == ENOENT || err == ENOTDIR || err == ENAMETOOLONG) {
    if (conf<CoreConf>(request).log_not_found) request.logger.error(Errno{err}, "\"{}\" is not found", path);
    return Verdict::status(404);
  }
  request.logger.error(Errno{err}, "\"{}\" is forbidden", path);
  return Verdict::status(err == EACCES || err == ELOOP ? 403 : 500);
}

std::span<const Template> candidates(Request& request) {
  static const Template standard("index.html");
  const std::vector<Template>& files = conf<IndexConf>(request).files;
  return files.empty() ? std::span(&standard, 1) : std::span(files);
}

Verdict find_index(Request& request) {
  if (request.uri.empty() || request.uri.back() != '/') return Verdict::next();
  if (request.method != Method::get && request.method != Method::head && request.method != Method::post) return Verdict::next();
  bool folder_checked = false;
  std::string_view folder_path;
  for (const Template& file : candidates(request)) {
    std::string_view name = file.evaluate(request);
    if (name.empty()) continue;  // a variable without a value: no candidate
    if (name[0] == '/') return Verdict::redirect(request.arena(), name, request.args);
    std::string_view uri = request.arena().join({request.uri, name});
    unsigned refusal = 404;
    // Named under the folder's path: an alias that a pattern makes says where the folder is, not where a file of it would be.
    if (folder_path.empty()) folder_path = map_path(request, request.uri, &refusal);
    if (folder_path.empty() || climbs(request.arena().join({"/", name}))) return Verdict::status(refusal);
    std::string_view path = request.arena().join({folder_path, name, std::string_view("\0", 1)});
    path.remove_suffix(1);
    OpenedFile found = find_file(request, path, FileWish::look);
    int err = found.err;
    if (!err) return Verdict::redirect(request.arena(), uri, request.args);
    if (err == EACCES || err == ELOOP) {
      request.logger.error(Errno{err}, "\"{}\" is forbidden", path);
      return Verdict::status(403);
    }
    if (err != ENOENT && err != ENOTDIR && err != ENAMETOOLONG) {
      request.logger.crit(Errno{err}, "{} \"{}\" failed", found.call, path);
      return Verdict::status(500);
    }
    if (folder_checked) continue;
    Verdict folder = check_folder(request, path);
    if (!folder.is_next()) return folder;
    folder_checked = true;
  }
  return Verdict::next();
}

constexpr Directive rows[] = {
    custom<set_index, IndexConf, &IndexConf::files>("index", in_http_any, words_from(1),
        "Files that are tried for a URI that ends in a slash.")
        .many()
        .takes("file ...").usual("index.html"),
};
constexpr PhaseEntry phases[] = {{.phase = Phase::content, .check = find_index}};
constexpr Hooks hooks = {.phases = phases};
constexpr std::string_view after[] = {"http_random_index"};

}  // namespace

extern constinit const Module http_index_module = {
    .name = "http_index", .conf = conf_of<IndexConf>, .directives = rows, .after = after, .http = &hooks};

}  // namespace fairlead
