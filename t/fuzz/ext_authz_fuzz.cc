// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Replies of a policy service, and what it is told: no reply ends the process, none is taken for consent that says otherwise, and whatever
// the client sent, what the service gets is UTF-8 where it must be. The first byte chooses: a message, framed here; raw bytes; a text.

#include "core/base/utf8.h"
#include "modules/http_ext_authz/message.h"
#include "t/fuzz/require.h"

namespace {

using namespace fairlead::http::ext_authz;

using fairlead::fuzz::require;

void judge(const Answer& answer) {
  require(answer.status >= 300 && answer.status <= 599, "a status that is no denial");
  if (answer.kind == Answer::Kind::failed) require(!answer.reason.empty() && answer.to_upstream.empty(), "a failure that says something");
  if (answer.kind == Answer::Kind::denied) require(answer.to_upstream.empty() && answer.removed.empty(), "a denial for the upstream");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  std::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  switch (bytes[0] % 3) {
    case 0: {
      std::string frame(1, '\0');
      for (int shift = 24; shift >= 0; shift -= 8) frame += static_cast<char>(input.size() >> shift & 0xff);
      judge(decode_check(frame.append(input)));
      break;
    }
    case 1: judge(decode_check(input)); break;
    default: {
      std::string once = fairlead::as_utf8(input, '!');
      require(fairlead::is_utf8(once) && fairlead::as_utf8(once, '!') == once, "it is not its own normal form");
      Asked asked;
      asked.path = asked.body = input;
      asked.fields = {{input, input}, {"x", input}};
      require(encode_check(asked).size() > input.size(), "something is missing");
    }
  }
  return 0;
}
