// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The rows of the http core: client_*, keepalive_*, send_*, files, error pages, limits.
#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "http/conf/core_conf.h"
#include "http/conf/http_block.h"

namespace fairlead {

template <>
struct EnumWords<http::Satisfy> {
  static constexpr EnumWord<http::Satisfy> all[] = {{"all", http::Satisfy::all}, {"any", http::Satisfy::any}};
};
template <>
struct EnumWords<http::ServerTokens> {
  static constexpr EnumWord<http::ServerTokens> all[] = {
      {"off", http::ServerTokens::off}, {"on", http::ServerTokens::on}, {"build", http::ServerTokens::build}};
};
template <>
struct EnumWords<http::Lingering> {
  static constexpr EnumWord<http::Lingering> all[] = {
      {"off", http::Lingering::off}, {"on", http::Lingering::on}, {"always", http::Lingering::always}};
};
template <>
struct EnumWords<http::BodyInFile> {
  static constexpr EnumWord<http::BodyInFile> all[] = {
      {"off", http::BodyInFile::off}, {"on", http::BodyInFile::on}, {"clean", http::BodyInFile::clean}};
};
template <>
struct EnumWords<http::IfModifiedSince> {
  static constexpr EnumWord<http::IfModifiedSince> all[] = {
      {"off", http::IfModifiedSince::off}, {"exact", http::IfModifiedSince::exact}, {"before", http::IfModifiedSince::before}};
};
template <>
struct EnumWords<http::KeepaliveDisable> {
  static constexpr EnumWord<http::KeepaliveDisable> all[] = {
      {"none", http::KeepaliveDisable::none}, {"msie6", http::KeepaliveDisable::msie6}, {"safari", http::KeepaliveDisable::safari}};
};
void http::place_temp_path(Generation& generation, TempPath& path) {
  if (path.placed) return;
  path.placed = true;
  path.path = generation.absolute_path(path.path);
  generation.need_folder(path.path);
}

ConfResult<Unit> ConfValue<http::TempPath>::parse(Line& line, http::TempPath& field) {
  http::TempPath path{line.generation().absolute_path(line.word(1)), {0, 0, 0}, false};
  for (size_t i = 2; i < line.words().size(); ++i) {
    auto level = parse_decimal(line.word(i));
    if (!level || *level == 0) return line.directive_reason("invalid value");
    if (*level > 3) return line.invalid_value(i);
    path.levels[i - 2] = static_cast<uint8_t>(*level);
  }
  field = path;
  return Unit();
}

}  // namespace fairlead

namespace fairlead::http {
namespace {

ConfResult<Unit> set_keepalive_timeout(Line& line, CoreConf& own) {
  auto timeout = parse_time_ms(line.word(1), TimeGrain::milliseconds);
  if (!timeout) return line.directive_reason("invalid value");
  own.keepalive_timeout.ms = *timeout;
  own.keepalive_header.s = 0;
  if (line.word_count() == 1) return Unit();
  auto header = parse_time_ms(line.word(2), TimeGrain::seconds);
  if (!header) return line.directive_reason("invalid value");
  own.keepalive_header.s = *header / 1000;
  return Unit();
}

// error_page CODE ... [=[RESPONSE]] URI
ConfResult<Unit> set_error_page(Line& line, CoreConf& own) {
  size_t last = line.words().size() - 1;
  int overwrite = -1;
  size_t codes_end = last;
  if (last >= 2 && line.word(last - 1).starts_with('=')) {
    std::string_view text = line.word(last - 1).substr(1);
    if (text.empty()) {
      overwrite = 0;
    } else {
      auto status = parse_decimal(text);
      if (!status || *status > 999) return line.invalid_value(last - 1);
      overwrite = static_cast<int>(*status);
    }
    codes_end = last - 1;
  }
  if (codes_end < 2) return line.invalid_value(last - 1);
  for (size_t i = 1; i < codes_end; ++i) {
    auto status = parse_decimal(line.word(i));
    if (!status) return line.invalid_value(i);
    if (*status == 499) return format("invalid value \"499\"");
    if (*status < 300 || *status > 599) return format("value \"{}\" must be between 300 and 599", line.word(i));
    ErrorPage page;
    page.status = static_cast<uint16_t>(*status);
    page.overwrite = overwrite;
    auto uri = compile_word(line, last);
    if (!uri) return uri.error();
    page.uri = std::move(*uri);
    own.error_pages.push_back(std::move(page));
  }
  return Unit();
}

ConfResult<Unit> set_root_or_alias(Line& line, CoreConf& own) {
  bool alias = line.name() == "alias";
  if (line.block().is_set(alias ? "root" : "alias")) {
    return format("\"{}\" directive is duplicate, \"{}\" directive was specified earlier", line.name(), alias ? "root" : "alias");
  }
  if (alias && location_of(line.block()).match == Location::Match::named)
    return std::string("the \"alias\" directive cannot be used inside the named location");
  std::string_view text = line.word(1);
  for (std::string_view name : {"document_root", "realpath_root"})  // they are made of this very value
    if (text.find(format("${}", name)) != std::string_view::npos || text.find(format("${{{}}}", name)) != std::string_view::npos)
      return format("the ${} variable cannot be used in the \"{}\" directive", name, line.name());
  if (!text.starts_with('$')) text = line.generation().absolute_path(text);
  if (!alias && text.size() > 1 && text.back() == '/') text.remove_suffix(1);
  auto compiled = compile_text(line, text);
  if (!compiled) return compiled.error();
  own.root = std::move(*compiled);
  own.is_alias = alias;
  own.alias_of = alias ? &location_of(line.block()) : nullptr;
  own.has_own_root = true;
  return Unit();
}

// Two rows set the same fields, so neither may copy the outer block's over what the other has set.
constexpr Directive root_row(std::string_view name, uint32_t contexts, std::string_view text) {
  Directive row = custom<set_root_or_alias, CoreConf>(name, contexts, words(1), text).takes("path");
  row.inherit = [](void* to, const void* from) {
    auto* own = static_cast<CoreConf*>(to);
    auto* outer = static_cast<const CoreConf*>(from);
    if (own->has_own_root) return;
    own->root = outer->root;
    own->is_alias = outer->is_alias;
    own->alias_of = outer->alias_of;
  };
  return row;
}

// A further `types` of the same block adds to what the first one said (an `include mime.types` and types of one's own).
ConfResult<Unit> set_types(Line& line, CoreConf& own) {
  auto types = own.types ? std::make_shared<TypeMap>(*own.types) : std::make_shared<TypeMap>();
  FL_TRY(line.read_lines([&](std::span<const std::string_view> words, Place place) -> ConfResult<Unit> {
    for (size_t i = 1; i < words.size(); ++i) {
      char* to = static_cast<char*>(line.arena().allocate(words[i].size(), 1));
      lower_into(to, words[i]);
      std::string_view extension{to, words[i].size()};
      auto [at, fresh] = types->emplace(extension, words[0]);
      if (!fresh) {
        line.generation().warn(format("duplicate extension \"{}\", content type: \"{}\", previous content type: \"{}\"{}", words[i],
                                      words[0], at->second, at_place(place)));
        at->second = words[0];
      }
    }
    return Unit();
  }));
  own.types = std::move(types);
  return Unit();
}

// A size that may have variables; without them it is checked at once.
template <Template CoreConf::*Field>
ConfResult<Unit> set_rate(Line& line, CoreConf& own) {
  auto value = compile_word(line, 1);
  if (!value) return value.error();
  if (value->is_literal() && !parse_size(value->literal(), SizeUnits::up_to_mega)) return line.directive_reason("invalid value");
  own.*Field = std::move(*value);
  return Unit();
}

ConfResult<Unit> warn_unsupported(Line& line, CoreConf&) {
  Size ignored;
  FL_TRY(ConfValue<Size>::parse(line, ignored));
  line.warn(format("\"{}\" is not supported, ignored", line.name()));
  return Unit();
}

// A block for all methods but the named ones. GET allows HEAD, too.
ConfResult<Unit> set_limit_except(Line& line, CoreConf&) {
  Location& outer = location_of(line.block());
  if (outer.otherwise) return line.directive_reason("is duplicate");
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string name(line.word(i));
    for (char& byte : name) byte = static_cast<char>(byte >= 'a' && byte <= 'z' ? byte - 32 : byte);
    Method method = parse_method(name);
    if (method == Method::other) return format("invalid method \"{}\"", line.word(i));
    outer.allowed_methods |= method_bit(method);
    if (method == Method::get) outer.allowed_methods |= method_bit(Method::head);
  }
  Block* block = line.open_block(in_limit_except);
  outer.otherwise = &add_location(line, *block, Location::Match::none);
  return line.read_block(*block);
}

// Accepted for nginx's sake: our tables size themselves.
ConfResult<Unit> check_number_only(Line& line, CoreConf&) {
  auto number = parse_decimal(line.word(1));
  if (!number) return line.directive_reason("invalid number");
  return Unit();
}

constexpr uint32_t any = in_http_any;
constexpr uint64_t request_pool_bytes_min = 112;  // nginx's

constexpr Directive core_rows[] = {
    slot<CoreConf, &CoreConf::client_header_buffer_size>("client_header_buffer_size", in_http | in_server,
                                                         "First buffer for a request's head."),
    slot<CoreConf, &CoreConf::large_client_header_buffers>(
        "large_client_header_buffers", in_http | in_server,
        "How much a request's head may take: the longest line, and how many times that in all. Over HTTP/2 no field may be longer than "
        "64k."),
    slot<CoreConf, &CoreConf::client_header_timeout>("client_header_timeout", in_http | in_server, "Time to receive a whole request head."),
    slot<CoreConf, &CoreConf::max_headers>("max_headers", in_http | in_server, "Most header lines of a request."),
    slot<CoreConf, &CoreConf::ignore_invalid_headers>("ignore_invalid_headers", in_http | in_server,
                                                      "Drop header fields with invalid names."),
    slot<CoreConf, &CoreConf::underscores_in_headers>("underscores_in_headers", in_http | in_server,
                                                      "Allow `_` in names of header fields."),
    slot<CoreConf, &CoreConf::merge_slashes>("merge_slashes", in_http | in_server, "Take several slashes in a path as one."),
    slot<CoreConf, &CoreConf::client_max_body_size>(
        "client_max_body_size", any,
        "Largest request body, 0 for no limit; more is 413. One that its location let in is not refused where an error page leads, nor, if "
        "its length is known, in a named location."),
    slot<CoreConf, &CoreConf::client_body_buffer_size>("client_body_buffer_size", any, "How much of a request body is kept in memory."),
    slot<CoreConf, &CoreConf::client_body_timeout>("client_body_timeout", any, "Time between two reads of a request body."),
    slot<CoreConf, &CoreConf::client_body_in_file_only>("client_body_in_file_only", any,
        "Always keep request bodies in files, empty ones too."),
    slot<CoreConf, &CoreConf::client_body_in_single_buffer>("client_body_in_single_buffer", any,
                                                            "Keep a request body in one piece of memory."),
    slot<CoreConf, &CoreConf::client_body_temp_path>("client_body_temp_path", any, "Folder for request bodies that do not fit in memory.")
        .usual("client_body_temp"),
    slot<CoreConf, &CoreConf::request_pool_size>("request_pool_size", in_http | in_server,
                                                 "First piece of memory of a request; it grows by as much as is needed."),
    custom<set_keepalive_timeout, CoreConf, &CoreConf::keepalive_timeout, &CoreConf::keepalive_header>(
        "keepalive_timeout", any, words(1, 2), "How long an idle client connection stays open, and what Keep-Alive tells the client.")
        .takes("time [header_time]").usual("75s"),
    slot<CoreConf, &CoreConf::keepalive_requests>("keepalive_requests", any, "Most requests of one client connection."),
    slot<CoreConf, &CoreConf::keepalive_time>("keepalive_time", any, "Age after which a client connection is closed behind its request."),
    slot<CoreConf, &CoreConf::keepalive_min_timeout>("keepalive_min_timeout", any,
                                                     "How long an idle connection is still served while draining; without it 1s when new "
                                                     "workers serve, else none."),
    slot<CoreConf, &CoreConf::keepalive_disable>("keepalive_disable", any, "Browsers whose connections are not kept."),
    slot<CoreConf, &CoreConf::send_timeout>("send_timeout", any, "Time between two writes to the client."),
    slot<CoreConf, &CoreConf::lingering_close>("lingering_close", any, "Read what a client still sends before its connection is closed."),
    slot<CoreConf, &CoreConf::lingering_time>("lingering_time", any, "Longest time of a lingering close."),
    slot<CoreConf, &CoreConf::lingering_timeout>("lingering_timeout", any, "Longest wait for more bytes in a lingering close."),
    slot<CoreConf, &CoreConf::reset_timedout_connection>("reset_timedout_connection", any, "Reset connections that timed out."),
    slot<CoreConf, &CoreConf::tcp_nodelay>("tcp_nodelay", any, "TCP_NODELAY on client connections."),
    slot<CoreConf, &CoreConf::tcp_nopush>("tcp_nopush", any, "Send a file's head and begin in one packet."),
    slot<CoreConf, &CoreConf::sendfile>("sendfile", any | in_location_if, "Send files with sendfile()."),
    slot<CoreConf, &CoreConf::sendfile_max_chunk>("sendfile_max_chunk", any, "Most bytes of one sendfile() call."),
    slot<CoreConf, &CoreConf::absolute_redirect>("absolute_redirect", any, "Make redirects to paths absolute."),
    slot<CoreConf, &CoreConf::server_name_in_redirect>("server_name_in_redirect", any,
                                                       "Use server_name in redirects, not the request's host."),
    slot<CoreConf, &CoreConf::port_in_redirect>("port_in_redirect", any, "Name the port in redirects."),
    slot<CoreConf, &CoreConf::server_tokens>("server_tokens", any, "Name the version in Server and on built-in pages."),
    slot<CoreConf, &CoreConf::chunked_transfer_encoding>("chunked_transfer_encoding", any, "Allow chunked responses in HTTP/1.1."),
    slot<CoreConf, &CoreConf::etag>("etag", any, "Give static files an ETag."),
    slot<CoreConf, &CoreConf::early_hints>("early_hints", any,
                                           "When a peer's 103 (Early Hints) is passed on: if a string is neither empty nor 0."),
    slot<CoreConf, &CoreConf::if_modified_since>("if_modified_since", any, "How If-Modified-Since is compared."),
    custom<set_error_page, CoreConf, &CoreConf::error_pages>("error_page", any | in_location_if, words_from(2),
                                                             "What is shown for errors: a path, a named location, an URL.")
        .many()
        .takes("code ... [=[response]] uri"),
    slot<CoreConf, &CoreConf::recursive_error_pages>("recursive_error_pages", any, "Let an error page have error pages of its own."),
    slot<CoreConf, &CoreConf::msie_padding>("msie_padding", any,
                                            "Fill small error pages for MSIE and Chrome, which show their own in place of them."),
    slot<CoreConf, &CoreConf::msie_refresh>("msie_refresh", any, "Redirect MSIE by a page with a refresh instead of a status."),
    custom<set_rate<&CoreConf::limit_rate>, CoreConf, &CoreConf::limit_rate>("limit_rate", any | in_location_if, words(1),
                                                                            "Bytes per second to one client, 0 for no limit.")
        .takes("rate").usual("0"),
    custom<set_rate<&CoreConf::limit_rate_after>, CoreConf, &CoreConf::limit_rate_after>(
        "limit_rate_after", any | in_location_if, words(1), "Bytes of a response that are not limited.")
        .takes("size").usual("0"),
    custom<warn_unsupported, CoreConf>("send_lowat", any, words(1), "Nothing on this system: warned about, as nginx does.").takes("size"),
    root_row("root", any | in_location_if, "Folder that paths are looked up in.").usual("html"),
    root_row("alias", in_location, "What stands in for the location's own part of the path."),
    custom<set_types, CoreConf, &CoreConf::types>("types", any, words(0), "Media types by file name extension.").block().many(),
    slot<CoreConf, &CoreConf::default_type>("default_type", any, "Media type of what `types` does not know."),
    slot<CoreConf, &CoreConf::log_not_found>("log_not_found", any, "Log files that are not found."),
    slot<CoreConf, &CoreConf::log_subrequest>("log_subrequest", any, "Write subrequests to the access log, too."),
    slot<CoreConf, &CoreConf::auth_delay>("auth_delay", any, "How long a 401 waits before it is sent; 0: not at all."),
    slot<CoreConf, &CoreConf::satisfy>("satisfy", any, "Whether all access checks must allow a request, or any one."),
    custom<set_limit_except, CoreConf>("limit_except", in_location, words_from(1), "What holds for all but the named methods.")
        .block()
        .takes("method ..."),
    custom<check_number_only, CoreConf>("server_names_hash_max_size", in_http, words(1), "Accepted; tables of names size themselves."),
    custom<check_number_only, CoreConf>("server_names_hash_bucket_size", in_http, words(1), "Accepted; tables of names size themselves."),
    custom<check_number_only, CoreConf>("variables_hash_max_size", in_http, words(1), "Accepted; tables of names size themselves."),
    custom<check_number_only, CoreConf>("variables_hash_bucket_size", in_http, words(1), "Accepted; tables of names size themselves."),
    custom<check_number_only, CoreConf>("types_hash_max_size", any, words(1), "Accepted; tables of names size themselves."),
    custom<check_number_only, CoreConf>("types_hash_bucket_size", any, words(1), "Accepted; tables of names size themselves."),
};

ConfResult<Unit> place_temp_paths(Generation& generation) {
  each_block(generation.root(), [&](Block& block) {
    if (block.enclosing(in_http)) place_temp_path(generation, conf<CoreConf>(block).client_body_temp_path);
  });
  return Unit();
}

ConfResult<Unit> finish_core(Block& block, CoreConf& core) {
  if (core.request_pool_size < request_pool_bytes_min)
    return format("the pool size must be no less than {}{}\n", request_pool_bytes_min, at_place(block.place()));
  if (core.request_pool_size % 16 != 0) return format("the pool size must be a multiple of 16{}\n", at_place(block.place()));
  if (core.large_client_header_buffers.bytes < 256)
    return format("the \"large_client_header_buffers\" are too small{}\n", at_place(block.place()));
  return Unit();
}

}  // namespace

constinit const Module http_core_module = {
    .name = "http_core",
    .conf = conf_of<CoreConf>,
    .directives = core_rows,
    .finish = finish_of<finish_core, CoreConf>,
    .generation = &place_temp_paths,
};

}  // namespace fairlead::http
