// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/lexer.h"

#include <algorithm>

#include "core/base/format.h"

namespace fairlead {

static bool is_space(char byte) { return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n'; }

void Lexer::skip(size_t bytes) {
  std::string_view skipped = text_.substr(at_, bytes);
  line_ += static_cast<uint32_t>(std::count(skipped.begin(), skipped.end(), '\n'));
  at_ += skipped.size();
}

void Lexer::skip_blanks() {
  while (!at_end()) {
    char byte = text_[at_];
    if (byte == '#') {
      while (!at_end() && text_[at_] != '\n') ++at_;
      continue;
    }
    if (!is_space(byte)) return;
    if (byte == '\n') ++line_;
    ++at_;
  }
}

ConfResult<Unit> Lexer::next(Statement& statement) {
  statement.words.clear();
  for (;;) {
    skip_blanks();
    statement.line = line_;
    if (at_end()) {
      if (!statement.words.empty()) return std::string("unexpected end of file, expecting \";\" or \"}\"");
      statement.end = StatementEnd::text_end;
      return Unit();
    }
    switch (text_[at_]) {
      case ';':
      case '{':
        if (statement.words.empty()) return format("unexpected \"{}\"", text_[at_]);
        statement.end = text_[at_] == ';' ? StatementEnd::semicolon : StatementEnd::block_start;
        ++at_;
        return Unit();
      case '}':
        if (!statement.words.empty()) return std::string("unexpected \"}\"");
        ++at_;
        statement.end = StatementEnd::block_end;
        return Unit();
      case '"':
      case '\'': FL_TRY(read_quoted(statement, text_[at_])); break;
      default: FL_TRY(read_word(statement)); break;
    }
  }
}

// A word without quotes ends at a blank, `;` or `{`; `${` opens a variable's name, not a block.
ConfResult<Unit> Lexer::read_word(Statement& statement) {
  uint32_t started = line_;
  size_t begin = at_;
  bool escaped = false;
  for (; !at_end(); ++at_) {
    char byte = text_[at_];
    if (byte == '\n') {
      if (!escaped) break;
      ++line_;
    }
    if (escaped) {
      escaped = false;
      continue;
    }
    if (byte == '\\') {
      escaped = true;
      continue;
    }
    if (byte == '$' && at_ + 1 < text_.size() && text_[at_ + 1] == '{') {
      ++at_;
      continue;
    }
    if (is_space(byte) || byte == ';' || byte == '{') break;
  }
  if (at_ - begin > word_bytes_max) return too_long(text_.substr(begin), started, '\0');
  statement.words.push_back(unescape(text_.substr(begin, at_ - begin)));
  return Unit();
}

ConfResult<Unit> Lexer::read_quoted(Statement& statement, char quote) {
  uint32_t started = line_;
  size_t begin = ++at_;
  bool escaped = false;
  for (; !at_end(); ++at_) {
    char byte = text_[at_];
    if (byte == '\n') ++line_;
    if (escaped) escaped = false;
    else if (byte == '\\') escaped = true;
    else if (byte == quote) break;
  }
  if (at_ - begin > word_bytes_max) return too_long(text_.substr(begin), started, quote);
  if (at_end()) {
    if (started != line_) hint_ = format("the {} of line {} has no counterpart", quote, started);
    return std::string("unexpected end of file, expecting \";\" or \"}\"");
  }
  statement.words.push_back(unescape(text_.substr(begin, at_ - begin)));
  ++at_;
  if (at_end() || is_space(text_[at_]) || text_[at_] == ';' || text_[at_] == '{' || text_[at_] == ')') return Unit();
  return format("unexpected \"{}\"", text_[at_]);
}

ConfResult<Unit> Lexer::too_long(std::string_view raw, uint32_t started, char quote) {
  line_ = started;
  if (quote) return format("too long parameter, probably missing terminating \"{}\" character", quote);
  return format("too long parameter \"{}...\" started", raw.substr(0, 10));
}

// \" \' \\ stand for the second byte, \t \r \n for the control; any other backslash stays: it belongs to a regular expression.
std::string_view Lexer::unescape(std::string_view raw) {
  if (raw.find('\\') == std::string_view::npos) return arena_.copy(raw);
  char* to = static_cast<char*>(arena_.allocate(raw.size(), 1));
  char* at = to;
  for (size_t i = 0; i < raw.size(); ++i) {
    char second = raw[i] == '\\' && i + 1 < raw.size() ? raw[i + 1] : '\0';
    switch (second) {
      case '"': case '\'': case '\\': *at++ = second; ++i; break;
      case 't': *at++ = '\t'; ++i; break;
      case 'r': *at++ = '\r'; ++i; break;
      case 'n': *at++ = '\n'; ++i; break;
      default: *at++ = raw[i];
    }
  }
  return {to, static_cast<size_t>(at - to)};
}

}  // namespace fairlead
