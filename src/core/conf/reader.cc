// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/format.h"
#include "core/conf/generation.h"
#include "core/conf/left_out.h"

namespace fairlead {

// The text being read now. Its name and text live in the generation's arena.
struct Reader::Source {
  std::string_view name;
  bool is_command_line;
  Lexer lexer;
  uint32_t line = 0;  // of the statement in work
};

ConfResult<Unit> read_whole_file(const std::string& path, std::string& text) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return format("open() \"{}\" failed ({}: {})", path, errno, std::strerror(errno));
  char buffer[16384];
  for (;;) {
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got > 0) {
      text.append(buffer, static_cast<size_t>(got));
      continue;
    }
    int err = errno;
    if (got < 0 && err == EINTR) continue;
    close(fd);
    if (got < 0) return format("read() \"{}\" failed ({}: {})", path, err, std::strerror(err));
    return Unit();
  }
}

std::string Reader::absolute(std::string_view path) const {
  return !path.empty() && path[0] == '/' ? std::string(path) : conf_folder_ + std::string(path);
}

// A reason that ends in a line feed has its place already: that of the innermost statement.
std::string Reader::located(std::string reason, std::string_view hint) const {
  if (!reason.empty() && reason.back() == '\n') return reason;
  if (source_ && source_->is_command_line) reason += " in command line";
  else if (source_) reason += at_place({source_->name, source_->line});
  if (!hint.empty()) reason.append(", ").append(hint);
  return reason + "\n";
}

ConfResult<Unit> Reader::with_file(const std::string& path, const std::function<ConfResult<Unit>()>& each) {
  inputs_.add_file(path);
  std::string text;
  auto whole = read_whole_file(path, text);
  if (!whole) return located(std::move(whole.error()));
  bool seen = std::any_of(files_.begin(), files_.end(), [&](const ConfFile& f) { return f.path == path; });
  if (!seen) files_.push_back({path, text});
  Arena& arena = generation_.arena();
  Source source{arena.copy(path), false, Lexer(arena.copy(text), arena)};
  Source* outer = std::exchange(source_, &source);
  ++depth_;
  auto read = each();
  --depth_;
  source_ = outer;
  return read;
}

ConfResult<Unit> Reader::read_file(std::string_view path, Block& block) {
  return with_file(std::string(path), [this, &block] { return read_statements(block, false); });
}

ConfResult<Unit> Reader::read_text(std::string_view name, std::string_view text, Block& block) {
  Arena& arena = generation_.arena();
  Source source{arena.copy(name), true, Lexer(arena.copy(text), arena)};
  Source* outer = std::exchange(source_, &source);
  auto read = read_statements(block, false);
  source_ = outer;
  return read;
}

ConfResult<bool> Reader::next_statement(Statement& statement, bool nested) {
  auto next = source_->lexer.next(statement);
  source_->line = source_->lexer.line();
  bool cut_off = !next && source_->is_command_line && source_->lexer.rest().empty();
  if (cut_off) return located("unexpected end of parameter, expecting \";\"");
  if (!next) return located(next.error(), source_->lexer.hint());
  if (statement.end == StatementEnd::block_end) {
    if (!nested) return located("unexpected \"}\"");
    return false;
  }
  if (statement.end == StatementEnd::text_end) {
    if (nested) return located("unexpected end of file, expecting \"}\"");
    return false;
  }
  return true;
}

ConfResult<Unit> Reader::read_statements(Block& block, bool nested) {
  for (;;) {
    Statement statement;
    auto next = next_statement(statement, nested);
    if (!next) return next.error();
    if (!*next) return Unit();
    if (source_->is_command_line && statement.end == StatementEnd::block_start)
      return located("block directives are not supported in -g option");
    FL_TRY(read_statement(block, statement));
  }
}

ConfResult<const ModuleList::Row*> Reader::find_row(const Block& block, std::string_view name) {
  std::span<const ModuleList::Row> rows = modules().rows(name);
  for (const ModuleList::Row& row : rows)
    if (row.may_stand_in(block)) return &row;
  if (!rows.empty()) return located(format("\"{}\" directive is not allowed here", name));
  if (std::string why = why_not_there(name); !why.empty()) return located(format("unknown directive \"{}\"", name), why);
  std::string_view nearest = modules().nearest(name, block);
  std::string hint = nearest.empty() ? std::string() : format("did you mean \"{}\"?", nearest);
  return located(format("unknown directive \"{}\"", name), hint);
}

ConfResult<Unit> Reader::check_shape(const Directive& directive, const Statement& statement) {
  std::string_view name = statement.words[0];
  bool opens = statement.end == StatementEnd::block_start;
  if (directive.is_block && !opens) return located(format("directive \"{}\" has no opening \"{{\"", name));
  if (!directive.is_block && opens) return located(format("directive \"{}\" is not terminated by \";\"", name));
  size_t count = statement.words.size() - 1;
  if (count < directive.words.least || (directive.words.most != many_words && count > directive.words.most))
    return located(format("invalid number of arguments in \"{}\" directive", name));
  return Unit();
}

ConfResult<Unit> Reader::read_statement(Block& block, Statement& statement) {
  std::string_view name = statement.words[0];
  bool opens = statement.end == StatementEnd::block_start;
  if (name == "include") {
    if (opens) return located("directive \"include\" is not terminated by \";\"");
    if (statement.words.size() != 2) return located("invalid number of arguments in \"include\" directive");
    Block* into = &block;
    return follow_include(statement.words[1], [this, into] { return read_statements(*into, false); });
  }
  auto found = find_row(block, name);
  if (!found) return found.error();
  const ModuleList::Row row = **found;
  FL_TRY(check_shape(*row.directive, statement));
  if (row.directive->raw_block_end) {
    std::string_view rest = source_->lexer.rest();
    auto bytes = row.directive->raw_block_end(rest);
    if (!bytes) return located(bytes.error());
    statement.words.push_back(rest.substr(0, *bytes - 1));
    source_->lexer.skip(*bytes);
  }
  void* conf = block.own_conf(row.module);
  bool is_again = block.is_set(row.module, row.row);
  if (is_again && !row.directive->repeatable) return located(format("\"{}\" directive is duplicate", name));
  block.mark_set(row.module, row.row);
  Place place{source_->is_command_line ? std::string_view("command line") : source_->name, source_->is_command_line ? 0 : source_->line};
  uint32_t line_before = source_->line;
  const Source* source_before = source_;
  Line line(*this, {block, place, is_again}, row.module, statement.words);
  auto set = row.directive->set(line, conf);
  if (set) return Unit();
  FL_ASSERT(source_ == source_before);
  source_->line = line_before;
  return located(std::move(set.error()));
}

ConfResult<Unit> Reader::follow_include(std::string_view pattern, const std::function<ConfResult<Unit>()>& each) {
  if (depth_ >= include_depth_max) return located(format("too many levels of \"include\" at \"{}\"", pattern));
  std::string path = absolute(pattern);
  std::vector<std::string> paths;
  if (path.find_first_of("*?[") == std::string::npos) {
    paths.push_back(path);
  } else {
    if (!match_files(path, paths)) return located(format("glob() \"{}\" failed", path));
    inputs_.add_pattern(path, paths);
  }
  for (const std::string& file : paths) FL_TRY(with_file(file, each));
  return Unit();
}

ConfResult<Unit> Reader::read_block(Block& inner) {
  if (block_depth_ >= block_depth_max) return std::string("too many levels of blocks");
  ++block_depth_;
  auto read = read_statements(inner, true);
  --block_depth_;
  return read;
}

ConfResult<Unit> Reader::read_lines(const Line::EachLine& each) { return lines_until_end(each, true); }

ConfResult<Unit> Reader::lines_until_end(const Line::EachLine& each, bool nested) {
  for (;;) {
    Statement statement;
    auto next = next_statement(statement, nested);
    if (!next) return next.error();
    if (!*next) return Unit();
    if (statement.end == StatementEnd::block_start) return located("unexpected \"{\"");
    ConfResult<Unit> done = Unit();
    if (statement.words.size() == 2 && statement.words[0] == "include") {
      done = follow_include(statement.words[1], [this, &each] { return lines_until_end(each, false); });
    } else {
      done = each(statement.words, Place{source_->name, source_->line});
    }
    if (!done) return located(std::move(done.error()));
  }
}

// -- Line --

Generation& Line::generation() const { return reader_.generation(); }
Arena& Line::arena() const { return reader_.generation().arena(); }
std::string Line::invalid_value(size_t index) const { return format("invalid value \"{}\"", word(index)); }
std::string Line::invalid_parameter(size_t index) const { return format("invalid parameter \"{}\"", word(index)); }
std::string Line::directive_reason(std::string_view reason) const { return format("\"{}\" directive {}", name(), reason); }
void Line::warn(std::string_view text) const { generation().warn(format("{}{}", text, at_place(place_))); }
void Line::warn_duplicate_value(size_t index) const { warn(format("duplicate value \"{}\"", word(index))); }

Block* Line::open_block(uint32_t context) const {
  Block* block = arena().make<Block>(&block_, context, place_, arena());
  block->set_owner(module_);
  return block;
}
ConfResult<Unit> Line::read_block(Block& inner) const { return reader_.read_block(inner); }
ConfResult<Unit> Line::read_lines(const EachLine& each) const { return reader_.read_lines(each); }

}  // namespace fairlead
