// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The rows of otel_exporter { }.
#pragma once

#include <array>

#include "core/conf/directive.h"
#include "modules/otel/conf.h"

namespace fairlead::http::otel {


ConfResult<Unit> set_exporter(Line& line, OtelConf& own);
ConfResult<Unit> set_endpoint(Line& line, OtelConf& own);
ConfResult<Unit> set_protocol(Line& line, OtelConf& own);
ConfResult<Unit> add_header(Line& line, OtelConf& own);
ConfResult<Unit> set_exporter_time(Line& line, OtelConf& own);
ConfResult<Unit> set_exporter_number(Line& line, OtelConf& own);
ConfResult<Unit> set_attribute_size(Line& line, OtelConf& own);

// Once all is known.
ConfResult<Unit> bind_exporter(Generation& generation, ExporterConf& exporter);

inline constexpr std::array exporter_own_rows = {
    custom<set_exporter, OtelConf, &OtelConf::exporter>("otel_exporter", in_http, words(0), "Where the spans of recorded requests go.")
        .block(),
    custom<set_endpoint, OtelConf>("endpoint", in_own_block, words(1), "Address of a collector; with protocol http perhaps with a path.")
        .takes("[http[s]://]host:port[/path] | grpc[s]://host:port"),
    custom<set_tls_client_trusted, OtelConf, &TlsClientConf::trusted_certificate>(
        "trusted_certificate", in_own_block, words(1),
        "The same as ssl_trusted_certificate. Without it the system's authorities are trusted.")
        .takes("file"),
    custom<set_protocol, OtelConf>("protocol", in_own_block, words(1), "OTLP over gRPC or over HTTP.").takes("grpc | http"),
    custom<add_header, OtelConf>("header", in_own_block, words(2), "A field of each export request.").many().takes("name value"),
    custom<set_exporter_time, OtelConf>(
        "interval", in_own_block, words(1),
        "Longest time between two exports; also the time until what a collector cannot take now is sent again, in five tries. Default 5s.")
        .takes("time"),
    custom<set_exporter_time, OtelConf>("timeout", in_own_block, words(1), "Longest time of an export. Default 10s.").takes("time"),
    custom<set_exporter_number, OtelConf>("batch_size", in_own_block, words(1), "Most spans of a batch of a worker. Default 512.")
        .takes("number"),
    custom<set_exporter_number, OtelConf>("batch_count", in_own_block, words(1),
                                          "Most batches of a worker that wait to be sent; beyond them spans are dropped. Default 4.")
        .takes("number"),
    custom<set_attribute_size, OtelConf>("attribute_size", in_own_block, words(1), "Longest value of an attribute, cut to it. Default 1k.")
        .takes("size"),
};
inline constexpr auto exporter_rows = join(exporter_own_rows, tls_client_directives<OtelConf, "ssl", in_own_block>);

}  // namespace fairlead::http::otel
