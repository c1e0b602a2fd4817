// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Reader: files to blocks. Dispatches each statement to the directive that the modules declare for its context, follows `include`, and
// owns the wording of configuration errors, always with ` in FILE:LINE`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/conf/block.h"
#include "core/conf/inputs.h"
#include "core/conf/lexer.h"
#include "core/conf/line.h"

namespace fairlead {

// A file as it was read, for -T.
struct ConfFile {
  std::string path;
  std::string text;
};

// The text of a file; the error names it and the system's reason.
ConfResult<Unit> read_whole_file(const std::string& path, std::string& text);

class Reader {
 public:
  // `conf_folder`: what relative includes start from.
  Reader(Generation& generation, std::string conf_folder) : generation_(generation), conf_folder_(std::move(conf_folder)) {}

  // Reads a whole file (or the text of -g) into `block`. Errors are complete lines.
  ConfResult<Unit> read_file(std::string_view path, Block& block);
  ConfResult<Unit> read_text(std::string_view name, std::string_view text, Block& block);

  Generation& generation() const { return generation_; }
  const std::vector<ConfFile>& files() const { return files_; }
  // What was read or looked for, also after a failure.
  const ConfInputs& inputs() const { return inputs_; }
  // For Line.
  ConfResult<Unit> read_block(Block& inner);
  ConfResult<Unit> read_lines(const Line::EachLine& each);
  std::string absolute(std::string_view path) const;

  static constexpr size_t include_depth_max = 32;
  static constexpr size_t block_depth_max = 100;

 private:
  struct Source;
  // Gives false at the end of the block (`nested`) or of the text.
  ConfResult<bool> next_statement(Statement& statement, bool nested);
  ConfResult<Unit> read_statements(Block& block, bool nested);
  ConfResult<Unit> read_statement(Block& block, Statement& statement);
  ConfResult<const ModuleList::Row*> find_row(const Block& block, std::string_view name);
  ConfResult<Unit> check_shape(const Directive& directive, const Statement& statement);
  // Makes the file the source while `each` runs.
  ConfResult<Unit> with_file(const std::string& path, const std::function<ConfResult<Unit>()>& each);
  // Opens each file of an include pattern in turn and calls `each` with it as the source.
  ConfResult<Unit> follow_include(std::string_view pattern, const std::function<ConfResult<Unit>()>& each);
  ConfResult<Unit> lines_until_end(const Line::EachLine& each, bool nested);
  // The reason with its place and, behind that, a hint if there is one.
  std::string located(std::string reason, std::string_view hint = {}) const;

  Generation& generation_;
  std::string conf_folder_;
  Source* source_ = nullptr;
  size_t depth_ = 0;        // of includes
  size_t block_depth_ = 0;  // of blocks
  std::vector<ConfFile> files_;
  ConfInputs inputs_;
};

}  // namespace fairlead
