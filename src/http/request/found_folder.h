// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The folder that a URI means, read for modules that answer with what lies in it.
#pragma once

#include "event/file/folder.h"
#include "event/loop/task.h"
#include "http/request/request.h"

namespace fairlead::http {

// Reads the folder of request.uri, which ends in a slash, on a file thread. next(): `folder` holds it; else the status of what went wrong,
// which is in the log.
Task<Verdict> read_folder_of(Request& request, size_t entries_max, Folder& folder);

}  // namespace fairlead::http
