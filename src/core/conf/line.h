// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Line: one directive as it stands in a file, with what its setter may reach: the words, the block it stands in, the generation under
// construction, and (for blocks) the reader. The wording of configuration errors lives here and in the reader: setters return the reason
// alone.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/conf/directive.h"

namespace fairlead {

class Arena;
class Block;
class Generation;
class Reader;
struct Module;

// Where something was written.
struct Place {
  std::string_view file;
  uint32_t line = 0;
};

// Where a line stands, and whether its block has one of the same directive already.
struct Stand {
  Block& block;
  Place place;
  bool is_again;
};

class Line {
 public:
  // `module`: whose row it is.
  Line(Reader& reader, const Stand& stand, uint16_t module, std::span<const std::string_view> all_words)
      : reader_(reader), block_(stand.block), module_(module), words_(all_words), place_(stand.place), is_again_(stand.is_again) {}
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  // words()[0] is the directive's name.
  std::span<const std::string_view> words() const { return words_; }
  std::string_view name() const { return words_[0]; }
  std::string_view word(size_t index) const { return words_[index]; }
  size_t word_count() const { return words_.size() - 1; }  // without the name
  Place place() const { return place_; }
  bool is_again() const { return is_again_; }
  Block& block() const { return block_; }
  Reader& reader() const { return reader_; }
  Generation& generation() const;
  Arena& arena() const;  // the generation's: texts of the configuration live there

  // Reasons in nginx's words.
  std::string invalid_value(size_t index) const;                  // invalid value "X"
  std::string invalid_parameter(size_t index) const;              // invalid parameter "X"
  std::string directive_reason(std::string_view reason) const;    // "NAME" directive REASON
  void warn(std::string_view text) const;
  void warn_duplicate_value(size_t index) const;

  // For blocks of directives: makes an inner block and reads it.
  Block* open_block(uint32_t context) const;
  ConfResult<Unit> read_block(Block& inner) const;
  // For blocks whose lines are not directives (map, types): each line's words; `include` is followed. `is_block_end` lines are not given.
  using EachLine = std::function<ConfResult<Unit>(std::span<const std::string_view> words, Place place)>;
  ConfResult<Unit> read_lines(const EachLine& each) const;

 private:
  Reader& reader_;
  Block& block_;
  uint16_t module_;
  std::span<const std::string_view> words_;
  Place place_;
  bool is_again_;
};

}  // namespace fairlead
