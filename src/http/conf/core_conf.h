// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// CoreConf: the values of the http core's own directives, for every level. The rows are in core_directives.cc.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "core/conf/template.h"
#include "core/conf/value.h"
#include "core/process/places.h"

namespace fairlead::http {

struct Location;

enum class Satisfy : uint8_t { all, any };
enum class ServerTokens : uint8_t { on, off, build };
enum class Lingering : uint8_t { off, on, always };
enum class BodyInFile : uint8_t { off, on, clean };
enum class IfModifiedSince : uint8_t { off, exact, before };
enum class KeepaliveDisable : uint32_t { none = 0, msie6 = 1, safari = 2 };

struct ErrorPage {
  uint16_t status = 0;
  int overwrite = -1;  // -1: keep the status, 0: the one of the page's own processing ("="), else that status
  Template uri;        // "/page", "@named" or an URL
};

// A location for temporary files: a folder and how many digits of the file's number name its levels.
struct TempPath {
  std::string_view path;
  uint8_t levels[3] = {0, 0, 0};
  bool placed = false;  // the path is absolute, the folder asked for
};

// `types`: file name extension (lower case) to media type.
using TypeMap = std::unordered_map<std::string_view, std::string_view>;

struct CoreConf {
  // What every request asks for, close together: it comes from the second cache each time.
  Offset client_max_body_size{1024 * 1024};
  Msec client_body_timeout{60'000};
  Msec keepalive_timeout{75'000};
  Seconds keepalive_header{0};
  uint64_t keepalive_requests = 1000;
  Msec keepalive_time{3'600'000};
  Flags<KeepaliveDisable> keepalive_disable{static_cast<uint32_t>(KeepaliveDisable::msie6)};
  Msec send_timeout{60'000};
  Size sendfile_max_chunk{2 * 1024 * 1024};  // 0: no limit
  Conditions early_hints;  // under which a 103 of a peer is passed on
  Template limit_rate{"0"};
  bool merge_slashes = true;
  bool tcp_nopush = false;
  bool sendfile = false;
  bool absolute_redirect = true;
  ServerTokens server_tokens = ServerTokens::on;
  bool chunked_transfer_encoding = true;
  Satisfy satisfy = Satisfy::all;
  // Heads
  Size client_header_buffer_size{1024};
  Buffers large_client_header_buffers{4, 8192};
  Msec client_header_timeout{60'000};
  uint64_t max_headers = 1000;
  bool ignore_invalid_headers = true;
  bool underscores_in_headers = false;
  // Bodies
  Size client_body_buffer_size{16 * 1024};
  BodyInFile client_body_in_file_only = BodyInFile::off;
  bool client_body_in_single_buffer = false;
  Size request_pool_size{6144};  // all of a small proxied request fits
  TempPath client_body_temp_path{places::client_body_temp, {}};
  // Connections
  Msec keepalive_min_timeout{UINT64_MAX};  // UINT64_MAX: 1 s when a successor serves, else none
  Lingering lingering_close = Lingering::on;
  Msec lingering_time{30'000};
  Msec lingering_timeout{5'000};
  bool reset_timedout_connection = false;
  bool tcp_nodelay = true;
  // Responses
  bool server_name_in_redirect = false;
  bool port_in_redirect = true;
  bool etag = true;
  IfModifiedSince if_modified_since = IfModifiedSince::exact;
  std::vector<ErrorPage> error_pages;
  bool recursive_error_pages = false;
  bool msie_padding = true;
  bool msie_refresh = false;
  Template limit_rate_after{"0"};
  // Files
  Template root{"html"};
  bool is_alias = false;
  const Location* alias_of = nullptr;  // the location `alias` was written in: its name is what the alias stands for
  bool has_own_root = false;             // root or alias stands in this very block
  std::shared_ptr<const TypeMap> types;  // nullptr: nginx's three
  std::string_view default_type = "text/plain";
  bool log_not_found = true;
  bool log_subrequest = false;
  // Access
  Msec auth_delay{0};  // before a 401
  // Something that runs here behind a reply shows any $upstream_http_*, by names that the configuration does not say (set by its module).
  bool shows_upstream_fields = false;
};

extern const Module http_core_module;

// For generation functions: a relative path (a default) is below the prefix; the folder is wanted when workers start.
void place_temp_path(Generation& generation, TempPath& path);

}  // namespace fairlead::http

namespace fairlead {
template <>
struct ConfValue<http::TempPath> {
  static constexpr WordCount words{1, 4};
  static constexpr std::string_view type = "path [level1 [level2 [level3]]]";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, http::TempPath& field);
};
}  // namespace fairlead
