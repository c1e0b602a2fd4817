// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/file_response.h"

#include "core/base/format.h"
#include "http/conf/core_conf.h"
#include "http/request/content_type.h"

namespace fairlead::http {

void respond_with_file(Request& request, const OpenedFile& found, std::string_view path) {
  Response& response = request.response;
  uint64_t size = found.facts.size;
  response.head.status = 200;
  request.doing = "sending response to client";
  response.head.framing.content_length = static_cast<int64_t>(size);
  response.content_type = content_type_of(request);
  response.last_modified = found.facts.modified_s;
  if (conf<CoreConf>(request).etag) response.etag = request.arena().copy(format("\"{:x}-{:x}\"", found.facts.modified_s, size));
  response.allow_ranges = true;
  response.body = file_body(request, found, path);
}

}  // namespace fairlead::http
