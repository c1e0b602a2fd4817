// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_autoindex/listing.h"

#include <gtest/gtest.h>

#include "core/base/format.h"

namespace fairlead::http_autoindex {
namespace {

using Kind = FolderEntry::Kind;

std::string line_of(const FolderEntry& entry, const HtmlStyle& style = {}) {
  std::string text = html_listing("/", {&entry, 1}, style);
  size_t begin = text.find("../</a>\r\n") + 9;
  return text.substr(begin, text.find("\r\n", begin) - begin);
}

TEST(Listing, FoldersFirstThenByBytes) {
  FolderEntry entries[] = {{"b", Kind::file}, {"z", Kind::folder}, {"B", Kind::other}, {"a", Kind::folder}};
  sort_entries(entries);
  EXPECT_EQ(entries[0].name + entries[1].name + entries[2].name + entries[3].name, "azBb");
}

TEST(Listing, RoundedSizes) {
  HtmlStyle style;
  style.exact_size = false;
  for (auto [size, text] : {std::pair<uint64_t, std::string_view>{0, "       0"}, {9999, "    9999"}, {10000, "     10K"},
                            {10751, "     10K"}, {10752, "     11K"},
                            {1048575, "   1024K"}, {1048576, "      1M"}, {1572863, "      1M"}, {1572864, "      2M"},
                                {uint64_t{5} << 30, "      5G"}}) {
    std::string line = line_of({"x", Kind::file, size, 0}, style);
    EXPECT_TRUE(line.ends_with(std::string(" ").append(text.substr(1)))) << size << ": " << line;
  }
}

TEST(Listing, WidthOfNames) {
  for (size_t width : {1u, 49u, 50u, 51u, 80u}) {
    std::string line = line_of({std::string(width, 'x'), Kind::folder, 0, 0});
    std::string shown = line.substr(line.find('>') + 1);
    std::string wanted(width > 50 ? 47 : width, 'x');
    wanted += width > 50 ? "..&gt;" : width < 50 ? "/" : "";
    EXPECT_EQ(shown.substr(0, shown.find("</a>")), wanted);
  }
  HtmlStyle utf8;
  utf8.utf8 = true;
  std::string name;
  for (int i = 0; i < 51; ++i) name += "ü";
  EXPECT_NE(line_of({name, Kind::file, 0, 0}, utf8).find(">" + name.substr(0, 94) + "..&gt;</a>"), std::string::npos);
}

TEST(Listing, NothingInAFolder) {
  EXPECT_EQ(json_listing({}, {}), "[\r\n]");
  EXPECT_EQ(json_listing({}, "f"), "/* callback */\r\nf([\r\n]);");
  EXPECT_EQ(xml_listing({}), "<?xml version=\"1.0\"?>\r\n<list>\r\n</list>\r\n");
}

TEST(Listing, EscapedForEachFormat) {
  FolderEntry entry{"a\"<&\n", Kind::file, 7, 0};
  EXPECT_EQ(json_listing({&entry, 1}, {}),
            "[\r\n{ \"name\":\"a\\\"<&\\n\", \"type\":\"file\", \"mtime\":\"Thu, 01 Jan 1970 00:00:00 GMT\", \"size\":7 }\r\n]");
  EXPECT_NE(xml_listing({&entry, 1}).find(" size=\"7\">a&quot;&lt;&amp;\n</file>"), std::string::npos);
  EXPECT_TRUE(line_of(entry).starts_with("<a href=\"a%22%3C%26%0A\">a&quot;&lt;&amp;\n</a>")) << line_of(entry);
}

TEST(Callback, Names) {
  EXPECT_TRUE(is_callback("a.b_C9"));
  EXPECT_TRUE(is_callback(std::string(128, 'a')));
  for (std::string_view text : {"a b", "a(b", "a-b", "<", "a\n"}) EXPECT_FALSE(is_callback(text)) << text;
  EXPECT_FALSE(is_callback(std::string(129, 'a')));
}

}  // namespace
}  // namespace fairlead::http_autoindex
