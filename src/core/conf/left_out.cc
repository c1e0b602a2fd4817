// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/left_out.h"

#include "core/base/format.h"

namespace fairlead {

namespace {

constexpr std::string_view commercial = "only the commercial nginx has it";
constexpr std::string_view no_cache = "responses are not kept: there is no cache";

// Sorted by name.
constexpr LeftOut directives[] = {
    {"error_log_tag", commercial},
    {"grpc_allow_upstream", commercial},
    {"grpc_bind_dynamic", commercial},
    {"grpc_request_dynamic", commercial},
    {"ntlm", commercial},
    {"post_action", "it was never documented; access_log or mirror do what it was used for"},
    {"proxy_allow_upstream", commercial},
    {"proxy_bind_dynamic", commercial},
    {"proxy_cache*", no_cache},
    {"proxy_request_dynamic", commercial},
    {"tunnel_bind_dynamic", commercial},
};

constexpr LeftOut variables[] = {
    {"proxy_internal_*", "they are nginx's own, not for configurations"},
    {"upstream_cache_*", no_cache},
    {"upstream_last_server_name", commercial},
};

bool is_named(const LeftOut& entry, std::string_view name) {
  if (!entry.name.ends_with('*')) return entry.name == name;
  return name.starts_with(entry.name.substr(0, entry.name.size() - 1));
}

std::string_view reason_in(std::span<const LeftOut> entries, std::string_view name) {
  for (const LeftOut& entry : entries)
    if (is_named(entry, name)) return entry.reason;
  return {};
}

constexpr UnbuiltArea areas[] = {
    {"fastcgi_", "FastCGI"},
    {"uwsgi_", "uwsgi"},
    {"scgi_", "SCGI"},
    {"memcached_", "memcached"},
    {"ssi", "server side includes"},
    {"ssi_", "server side includes"},
    {"stream", "the stream proxy"},
    {"mail", "the mail proxy"},
    {"dav_", "WebDAV"},
    {"create_full_put_path", "WebDAV"},
    {"xslt_", "XSLT"},
    {"image_filter", "the image filter"},
    {"image_filter_", "the image filter"},
    {"perl", "Perl"},
    {"perl_", "Perl"},
    {"js_", "njs"},
    {"geoip_", "GeoIP"},
    {"geoip2", "GeoIP2"},
    {"geoip2_", "GeoIP2"},
    {"brotli", "Brotli"},
    {"brotli_", "Brotli"},
    {"http3", "HTTP/3"},
    {"http3_", "HTTP/3"},
    {"quic_", "HTTP/3"},
    {"flv", "FLV streaming"},
    {"mp4", "MP4 streaming"},
    {"mp4_", "MP4 streaming"},
    {"more_", "the headers-more module"},
    {"echo", "the echo module"},
    {"echo_", "the echo module"},
    {"modsecurity", "ModSecurity"},
    {"modsecurity_", "ModSecurity"},
};

}  // namespace

std::span<const LeftOut> left_out_directives() { return directives; }
std::span<const LeftOut> left_out_variables() { return variables; }
std::string_view why_left_out(std::string_view name) { return reason_in(directives, name); }
std::string_view why_variable_left_out(std::string_view name) { return reason_in(variables, name); }

std::span<const UnbuiltArea> unbuilt_areas() { return areas; }

std::string_view unbuilt_area_of(std::string_view name) {
  for (const UnbuiltArea& entry : areas)
    if (entry.word.ends_with('_') ? name.starts_with(entry.word) : name == entry.word) return entry.area;
  return {};
}

std::string why_not_there(std::string_view name) {
  if (std::string_view reason = why_left_out(name); !reason.empty()) return format("left out: {}", reason);
  if (std::string_view area = unbuilt_area_of(name); !area.empty()) return format("not built into Fairlead: {}", area);
  return {};
}

}  // namespace fairlead
