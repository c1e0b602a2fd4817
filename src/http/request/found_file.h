// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Files for modules: by the location's rules (open_file_cache, disable_symlinks, directio, aio, sendfile), as facts or as a Body.
#pragma once

#include <string_view>

#include "event/file/open_file.h"
#include "http/message/body.h"
#include "http/request/request.h"

namespace fairlead {
class BlockingPool;
}
namespace fairlead::http {

enum class FileWish : uint8_t { look, open };

// `path` is followed by NUL (as map_path() gives it). What went wrong stands in `err`; nothing is logged.
OpenedFile find_file(Request& request, std::string_view path, FileWish wish);
// The bytes of a found file, as the location wants them read. `path` for the log.
Body* file_body(Request& request, const OpenedFile& found, std::string_view path);
// The threads that write this request's temporary files.
BlockingPool& writing_pool(Request& request);

}  // namespace fairlead::http
