// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/lexer.h"

#include <gtest/gtest.h>

#include <string>

namespace fairlead {
namespace {

// Everything the lexer says about a text: words in [], the end, the line it has reached.
std::string lexed(std::string_view text) {
  Arena::Owner arena = Arena::open(4096);
  Lexer lexer(text, *arena);
  std::string said;
  for (;;) {
    Statement statement;
    auto next = lexer.next(statement);
    std::string line = std::to_string(lexer.line());
    if (!next) return said + "!" + next.error() + "@" + line + (lexer.hint().empty() ? "" : " (" + lexer.hint() + ")");
    for (std::string_view word : statement.words) said.append("[").append(word).append("]");
    switch (statement.end) {
      case StatementEnd::semicolon: said += ";"; break;
      case StatementEnd::block_start: said += "{"; break;
      case StatementEnd::block_end: said += "}"; break;
      case StatementEnd::text_end: return said + "." + line;
    }
  }
}

TEST(Lexer, Statements) {
  EXPECT_EQ(lexed(""), ".1");
  EXPECT_EQ(lexed(" \t\r\n\n"), ".3");
  EXPECT_EQ(lexed("a;"), "[a];.1");
  EXPECT_EQ(lexed("a b\tc\r\nd ;e{f;}g;"), "[a][b][c][d];[e]{[f];}[g];.2");
  EXPECT_EQ(lexed("a{}b{ }\n"), "[a]{}[b]{}.2");
}

TEST(Lexer, Comments) {
  EXPECT_EQ(lexed("# all\na b; # to the end; {\nc#d e;#"), "[a][b];[c#d][e];.3");
  EXPECT_EQ(lexed("a # inside ;\n b;"), "[a][b];.2");
  EXPECT_EQ(lexed("a '#' \"# b\";"), "[a][#][# b];.1");
}

TEST(Lexer, Quotes) {
  EXPECT_EQ(lexed("a \"b c;{}\" 'd\"e' \"f'g\";"), "[a][b c;{}][d\"e][f'g];.1");
  EXPECT_EQ(lexed("a '' \"\";"), "[a][][];.1");
  EXPECT_EQ(lexed("a b\"c d'e;"), "[a][b\"c][d'e];.1");
  EXPECT_EQ(lexed("'a'{\"b\";}"), "[a]{[b];}.1");
  // The bracket that closes an `if` may follow a quote.
  EXPECT_EQ(lexed("if ($a = \"b\") {}"), "[if][($a][=][b][)]{}.1");
  EXPECT_EQ(lexed("a \"b\nc\";"), "[a][b\nc];.2");
}

TEST(Lexer, TextBehindAQuote) {
  EXPECT_EQ(lexed("a \"b\"c;"), "!unexpected \"c\"@1");
  EXPECT_EQ(lexed("a\n'b'\"c\";"), "!unexpected \"\"\"@2");
  EXPECT_EQ(lexed("a 'b'#c;"), "!unexpected \"#\"@1");
  EXPECT_EQ(lexed("a 'b'}"), "!unexpected \"}\"@1");
}

TEST(Lexer, Escapes) {
  EXPECT_EQ(lexed(R"(a "\"" '\'' "\\";)"), R"([a]["]['][\];.1)");
  EXPECT_EQ(lexed(R"(a "x\ty" x\ny x\ry;)"), "[a][x\ty][x\ny][x\ry];.1");
  // Of regular expressions.
  EXPECT_EQ(lexed(R"(a \.php$ "\d+\$";)"), R"([a][\.php$][\d+\$];.1)");
  // Outside quotes a backslash keeps what would end the word, and itself.
  EXPECT_EQ(lexed(R"(a b\ c d\;e \{ \#;)"), R"([a][b\ c][d\;e][\{][\#];.1)");
  EXPECT_EQ(lexed("a b\\\nc;"), "[a][b\\\nc];.2");
  EXPECT_EQ(lexed("a b\\"), "!unexpected end of file, expecting \";\" or \"}\"@1");
}

TEST(Lexer, Variables) {
  EXPECT_EQ(lexed("a $b${c}d ${e};"), "[a][$b${c}d][${e}];.1");
  EXPECT_EQ(lexed("a $b{c;}"), "[a][$b]{[c];}.1");
  EXPECT_EQ(lexed("a $${b}{c;}"), "[a][$${b}]{[c];}.1");
}

TEST(Lexer, UnexpectedEnds) {
  EXPECT_EQ(lexed(";"), "!unexpected \";\"@1");
  EXPECT_EQ(lexed("\n{"), "!unexpected \"{\"@2");
  EXPECT_EQ(lexed("a }"), "!unexpected \"}\"@1");
  EXPECT_EQ(lexed("a\n\n"), "!unexpected end of file, expecting \";\" or \"}\"@3");
  EXPECT_EQ(lexed("a 'b"), "!unexpected end of file, expecting \";\" or \"}\"@1");
  EXPECT_EQ(lexed("\na \"b;\nc;\n"), "!unexpected end of file, expecting \";\" or \"}\"@4 (the \" of line 2 has no counterpart)");
  // A brace inside a word is part of it.
  EXPECT_EQ(lexed("a b}c;"), "[a][b}c];.1");
}

TEST(Lexer, WordLimit) {
  std::string most(Lexer::word_bytes_max, 'x');
  EXPECT_EQ(lexed("a " + most + ";").size(), most.size() + 8);
  EXPECT_EQ(lexed("\na " + most + "x\n;"), "!too long parameter \"xxxxxxxxxx...\" started@2");
  EXPECT_EQ(lexed("a \"" + most + "x\n\";"), "!too long parameter, probably missing terminating \"\"\" character@1");
  EXPECT_EQ(lexed("a '" + most + "x"), "!too long parameter, probably missing terminating \"'\" character@1");
}

TEST(Lexer, SkippedPartCountsItsLines) {
  Arena::Owner arena = Arena::open(4096);
  Lexer lexer("a {\n x = {}\n}\nb;", *arena);
  Statement statement;
  ASSERT_TRUE(lexer.next(statement));
  EXPECT_EQ(lexer.rest(), "\n x = {}\n}\nb;");
  lexer.skip(11);
  ASSERT_TRUE(lexer.next(statement));
  EXPECT_EQ(statement.words[0], "b");
  EXPECT_EQ(lexer.line(), 4u);
  lexer.skip(100);
  EXPECT_EQ(lexer.rest(), "");
}

}  // namespace
}  // namespace fairlead
