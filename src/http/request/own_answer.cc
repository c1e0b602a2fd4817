// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/own_answer.h"

#include "http/message/body.h"

namespace fairlead::http {

Verdict answer_with(Request& request, unsigned status, std::string_view content_type, std::string_view body) {
  Response& response = request.response;
  response.head.status = static_cast<uint16_t>(status);
  response.content_type = request.arena().copy(content_type);
  response.foreign_location = true;
  response.head.framing.content_length = static_cast<int64_t>(body.size());
  response.body = request.arena().make<BytesBody>(Slice(request.arena().copy(body)));
  return Verdict::respond();
}

}  // namespace fairlead::http
