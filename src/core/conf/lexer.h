// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Configuration text to statements: words with their lines. Knows quotes, escapes, comments and `;{}`; knows no directive. Variables stay
// as written. Words are views of the text or of the arena, which both outlive them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/arena.h"
#include "core/base/error.h"

namespace fairlead {

// What a statement ended with.
enum class StatementEnd : uint8_t {
  semicolon,
  block_start,  // `{` behind the words
  block_end,    // `}`, no words
  text_end,     // no words
};

struct Statement {
  StatementEnd end = StatementEnd::text_end;
  uint32_t line = 0;  // where the statement's end stands, as nginx counts for its messages
  std::vector<std::string_view> words;
};

class Lexer {
 public:
  Lexer(std::string_view text, Arena& arena) : text_(text), arena_(arena) {}

  // The next statement; the error is the reason without file and line (see line()).
  ConfResult<Unit> next(Statement& statement);
  // The line the lexer has reached, from 1; after an error the line to name.
  uint32_t line() const { return line_; }
  // After an error: what may help to find its cause, to stand behind the place. Often empty.
  const std::string& hint() const { return hint_; }
  // For a block in another language, right behind its `{`: what is left, and taking the first `bytes` of it.
  std::string_view rest() const { return text_.substr(at_); }
  void skip(size_t bytes);

  static constexpr size_t word_bytes_max = 1 << 20;

 private:
  bool at_end() const { return at_ >= text_.size(); }
  ConfResult<Unit> read_word(Statement& statement);
  ConfResult<Unit> read_quoted(Statement& statement, char quote);
  std::string_view unescape(std::string_view raw);
  ConfResult<Unit> too_long(std::string_view raw, uint32_t started, char quote);
  void skip_blanks();

  std::string_view text_;
  Arena& arena_;
  size_t at_ = 0;
  uint32_t line_ = 1;
  std::string hint_;
};

}  // namespace fairlead
