// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The rows of otel_exporter { }.
#pragma once

#include <array>

#include "core/conf/directive.h"
#include "modules/otel/conf.h"

namespace fairlead::http::otel {

constexpr uint32_t in_exporter = 1u << 27;  // the context of the block

ConfResult<Unit> set_exporter(Line& line, OtelConf& own);
ConfResult<Unit> set_endpoint(Line& line, OtelConf& own);
ConfResult<Unit> set_protocol(Line& line, OtelConf& own);
ConfResult<Unit> add_header(Line& line, OtelConf& own);
ConfResult<Unit> set_exporter_time(Line& line, OtelConf& own);
ConfResult<Unit> set_exporter_number(Line& line, OtelConf& own);
ConfResult<Unit> set_attribute_size(Line& line, OtelConf& own);

inline constexpr std::array exporter_rows = {
    custom<set_exporter, OtelConf, &OtelConf::exporter>("otel_exporter", in_http, words(0), "Where the spans of recorded requests go.")
        .block(),
    custom<set_endpoint, OtelConf>("endpoint", in_exporter, words(1), "Address of a collector; with protocol http perhaps with a path.")
        .takes("[http://]host:port[/path]"),
    custom<set_protocol, OtelConf>("protocol", in_exporter, words(1), "OTLP over gRPC or over HTTP.").takes("grpc | http"),
    custom<add_header, OtelConf>("header", in_exporter, words(2), "A field of each export request.").many().takes("name value"),
    custom<set_exporter_time, OtelConf>("interval", in_exporter, words(1), "Longest time between two exports. Default 5s.").takes("time"),
    custom<set_exporter_time, OtelConf>("timeout", in_exporter, words(1), "Longest time of an export. Default 10s.").takes("time"),
    custom<set_exporter_number, OtelConf>("batch_size", in_exporter, words(1), "Most spans of a batch of a worker. Default 512.")
        .takes("number"),
    custom<set_exporter_number, OtelConf>("batch_count", in_exporter, words(1),
                                          "Most batches of a worker that wait to be sent; beyond them spans are dropped. Default 4.")
        .takes("number"),
    custom<set_attribute_size, OtelConf>("attribute_size", in_exporter, words(1), "Longest value of an attribute, cut to it. Default 1k.")
        .takes("size"),
};

}  // namespace fairlead::http::otel
