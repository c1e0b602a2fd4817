// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The options of the Connection fields of a message that a parser acts upon (RFC 9110 section 7.6.1).
#pragma once

#include "http/message/headers.h"

namespace fairlead::http::h1 {

struct ConnectionOptions {
  bool close = false, keep_alive = false, upgrade = false;

  explicit ConnectionOptions(const Headers& headers) {
    const Headers::Field* field = headers.find(KnownHeader::connection);
    for (; field; field = headers.next_same(*field)) {
      std::string_view list = field->value;
      if (list == "keep-alive") {  // as nearly all say it
        keep_alive = true;
        continue;
      }
      close = close || list_names(list, "close");
      keep_alive = keep_alive || list_names(list, "keep-alive");
      upgrade = upgrade || list_names(list, "upgrade");
    }
  }
};

}  // namespace fairlead::http::h1
