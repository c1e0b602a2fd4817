// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/left_out.h"

namespace fairlead {

static constexpr LeftOut table[] = {
    {"connection_pool_size", "a connection holds memory only while it needs it"},
    {"debug_points", "a broken invariant always ends the worker with a core file"},
    {"post_action", "it was never documented; access_log or mirror do what it was used for"},
    {"postpone_output", "what is there is gathered and sent at once"},
    {"proxy_allow_upstream", "only the commercial nginx has it"},
    {"proxy_bind_dynamic", "only the commercial nginx has it"},
    {"proxy_request_dynamic", "only the commercial nginx has it"},
    {"subrequest_output_buffer_size", "what a subrequest answers is not kept in one buffer"},
    {"worker_aio_requests", "the kernel's asynchronous reads are not used; see \"aio threads\""},
};

std::span<const LeftOut> left_out_directives() { return table; }

std::string_view why_left_out(std::string_view name) {
  for (const LeftOut& entry : table)
    if (entry.name == name) return entry.reason;
  return {};
}

static constexpr UnbuiltArea areas[] = {
    {"fastcgi_", "FastCGI"},
    {"uwsgi_", "uwsgi"},
    {"scgi_", "SCGI"},
    {"memcached_", "memcached"},
    {"proxy_cache", "the cache of responses"},
    {"proxy_cache_", "the cache of responses"},
    {"proxy_no_cache", "the cache of responses"},
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

std::span<const UnbuiltArea> unbuilt_areas() { return areas; }

std::string_view unbuilt_area_of(std::string_view name) {
  for (const UnbuiltArea& entry : areas)
    if (entry.word.ends_with('_') ? name.starts_with(entry.word) : name == entry.word) return entry.area;
  return {};
}

}  // namespace fairlead
