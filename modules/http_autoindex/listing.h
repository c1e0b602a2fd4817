// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Listings of folders as nginx writes them: HTML, XML, JSON, JSONP. Pure: entries in, text out.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "event/file/folder.h"

namespace fairlead::http_autoindex {

struct HtmlStyle {
  bool exact_size = true;   // bytes; otherwise rounded to K, M, G
  bool local_time = false;  // otherwise UTC
  bool utf8 = false;        // names are measured in characters
};

// Folders first, each by its bytes.
void sort_entries(std::span<FolderEntry> entries);

std::string html_listing(std::string_view uri, std::span<const FolderEntry> entries, const HtmlStyle& style);
std::string xml_listing(std::span<const FolderEntry> entries);
// `callback`: the function that JSONP calls with the list; empty: JSON.
std::string json_listing(std::span<const FolderEntry> entries, std::string_view callback);

// Letters, digits, `_` and `.`, at most 128 of them.
bool is_callback(std::string_view text);

}  // namespace fairlead::http_autoindex
