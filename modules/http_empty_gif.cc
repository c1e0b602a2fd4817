// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// empty_gif: one transparent pixel. Owns nothing.
#include "core/conf/block.h"
#include "http/conf/location.h"
#include "http/request/response.h"

namespace fairlead {
namespace {

using namespace http;

struct EmptyGifConf {};

// GIF89a, one pixel, two colours, the first of them transparent.
constexpr unsigned char pixel[] = {
    'G', 'I', 'F', '8', '9', 'a', 1, 0, 1, 0, 0x80, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff,
    0x21, 0xf9, 4, 1, 0, 0, 1, 0,                        // graphic control
    0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x4c, 1, 0,   // image
    0x3b,
};
constexpr int64_t made = 23349600;  // Last-Modified, as nginx has it

Task<Verdict> answer(Request& request) {
  if (request.method != Method::get && request.method != Method::head) co_return Verdict::status(405);
  set_text(request, 200, "image/gif", {reinterpret_cast<const char*>(pixel), sizeof pixel});
  request.response.last_modified = made;
  co_return Verdict::respond();
}

ConfResult<Unit> set_empty_gif(Line& line, EmptyGifConf&) {
  set_content(line, answer);
  return Unit();
}

constexpr Directive rows[] = {
    custom<set_empty_gif, EmptyGifConf>("empty_gif", in_location, words(0), "Answers with one transparent pixel.").many(),
};

}  // namespace

extern constinit const Module http_empty_gif_module = {.name = "http_empty_gif", .conf = conf_of<EmptyGifConf>, .directives = rows};

}  // namespace fairlead
