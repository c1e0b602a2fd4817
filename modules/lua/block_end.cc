// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/block_end.h"

#include <string>

namespace fairlead::lua {
namespace {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  ConfResult<size_t> run();

 private:
  bool looking_at(std::string_view wanted) const { return text_.substr(at_, wanted.size()) == wanted; }
  // The level of the long bracket that opens here ("[[" is 0, "[=[" is 1), or -1.
  int long_level() const;
  bool skip_long(int level);
  bool skip_string(char quote);
  bool skip_comment();

  std::string_view text_;
  size_t at_ = 0;
};

int Scanner::long_level() const {
  size_t at = at_ + 1;
  while (at < text_.size() && text_[at] == '=') ++at;
  return at < text_.size() && text_[at] == '[' ? static_cast<int>(at - at_ - 1) : -1;
}

bool Scanner::skip_long(int level) {
  std::string close = "]" + std::string(static_cast<size_t>(level), '=') + "]";
  size_t end = text_.find(close, at_ + static_cast<size_t>(level) + 2);
  if (end == std::string_view::npos) return false;
  at_ = end + close.size();
  return true;
}

// A line feed ends a string that lacks its quote: Lua will say so, with a better place than the end of the file.
bool Scanner::skip_string(char quote) {
  for (++at_; at_ < text_.size(); ++at_) {
    if (text_[at_] == '\\') {
      ++at_;
    } else if (text_[at_] == quote || text_[at_] == '\n') {
      ++at_;
      return true;
    }
  }
  return false;
}

bool Scanner::skip_comment() {
  at_ += 2;
  int level = at_ < text_.size() && text_[at_] == '[' ? long_level() : -1;
  if (level >= 0) return skip_long(level);
  size_t end = text_.find('\n', at_);
  if (end == std::string_view::npos) return false;
  at_ = end + 1;
  return true;
}

ConfResult<size_t> Scanner::run() {
  int depth = 1;
  bool whole = true;
  while (whole && at_ < text_.size()) {
    char byte = text_[at_];
    if (byte == '{') {
      ++depth;
      ++at_;
    } else if (byte == '}') {
      ++at_;
      if (--depth == 0) return at_;
    } else if (byte == '"' || byte == '\'') {
      whole = skip_string(byte);
    } else if (byte == '-' && looking_at("--")) {
      whole = skip_comment();
    } else if (byte == '[' && long_level() >= 0) {
      whole = skip_long(long_level());
    } else {
      ++at_;
    }
  }
  return std::string("Lua code block missing the closing curly bracket \"}\"");
}

}  // namespace

ConfResult<size_t> block_end(std::string_view rest) { return Scanner(rest).run(); }

}  // namespace fairlead::lua
