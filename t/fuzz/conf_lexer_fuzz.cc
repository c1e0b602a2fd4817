// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Configuration text: any bytes come to an end; lines only grow; the words written anew, quoted, give the same words again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/conf/lexer.h"

namespace {

using namespace fairlead;

struct Said {
  std::vector<std::string> words;  // of all statements, each with its end behind it
  bool failed = false;
};

Said lex(std::string_view text) {
  // Exact size on the heap: the address sanitizer sees a read behind the end.
  std::unique_ptr<char[]> copy(new char[text.size()]);
  std::copy(text.begin(), text.end(), copy.get());
  Arena::Owner arena = Arena::open(1024);
  Lexer lexer({copy.get(), text.size()}, *arena);
  Said said;
  for (uint32_t line = 1;;) {
    Statement statement;
    size_t left = lexer.rest().size();
    auto next = lexer.next(statement);
    if (!next) {
      said.failed = true;
      if (next.error().empty()) std::abort();
      return said;
    }
    if (lexer.line() < line || statement.line < line || statement.line > lexer.line()) std::abort();
    line = lexer.line();
    bool closed = statement.end == StatementEnd::block_end || statement.end == StatementEnd::text_end;
    if (closed != statement.words.empty()) std::abort();
    for (std::string_view word : statement.words) said.words.emplace_back(word);
    said.words.push_back(std::string(1, ";{}."[static_cast<int>(statement.end)]));
    if (statement.end == StatementEnd::text_end) return said;
    if (lexer.rest().size() >= left) std::abort();
  }
}

std::string quoted(const std::string& word) {
  std::string text = "\"";
  for (char byte : word) {
    if (byte == '"' || byte == '\\') text += '\\';
    text += byte;
  }
  return text + "\" ";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size > 8192) return 0;
  Said said = lex({reinterpret_cast<const char*>(bytes), size});
  if (said.failed) return 0;
  // Ends are told from words by position alone, so the text is written as statements of one word each.
  std::string again;
  for (const std::string& word : said.words) again += quoted(word) + ";\n";
  Said second = lex(again);
  if (second.failed || second.words.size() != 2 * said.words.size() + 1) std::abort();
  for (size_t i = 0; i < said.words.size(); ++i)
    if (second.words[2 * i] != said.words[i]) std::abort();
  return 0;
}
