// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// gunzip: gzip responses decompressed for clients that do not take gzip. This file decides which; the bytes are gunzip_body.h's.
#include "core/base/text.h"
#include "core/conf/module.h"
#include "http/hooks.h"
#include "http/request/gzip_rules.h"
#include "modules/http_gunzip/gunzip_body.h"

namespace fairlead {
namespace {

using namespace http;
using namespace http_gunzip;

struct GunzipConf {
  bool on = false;
  Buffers buffers{32, 4096};
};

void decompress(Request& request) {
  Response& response = request.response;
  Headers& headers = response.head.headers;
  if (!response.body || !equal_nocase(headers.value(KnownHeader::content_encoding), "gzip")) return;
  vary_by_encoding(request);
  if (may_be_gzip(request)) return;
  headers.remove(KnownHeader::content_encoding);
  headers.remove(KnownHeader::accept_ranges);
  response.allow_ranges = false;
  response.head.framing.content_length = no_length;
  weaken_tag(request);
  response.body = request.arena().make<GunzipBody>(*response.body, conf<GunzipConf>(request).buffers.bytes);
}

bool is_on(const Block& block) { return conf<GunzipConf>(block).on; }

constexpr Directive rows[] = {
    slot<GunzipConf, &GunzipConf::on>("gunzip", in_http_any, "Decompress gzip responses for clients that do not take gzip."),
    slot<GunzipConf, &GunzipConf::buffers>("gunzip_buffers", in_http_any,
        "Size of a piece of decompressed output; the number has no limit to set, pieces leave as they are made."),
};
constexpr ResponseFilter filters[] = {{.stage = Stage::content, .apply = decompress, .applies = is_on}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

extern constinit const Module http_gunzip_module = {.name = "http_gunzip",
                                                    .conf = conf_of<GunzipConf>,
                                                    .directives = rows,
                                                    .http = &hooks};

}  // namespace fairlead
