// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Variables: named texts evaluated for a Session when asked for. A VariableTable belongs to a generation and an engine (http, stream): each
// name used in the configuration gets an index; unknown names are an error with the place of their first use.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/conf/line.h"

namespace fairlead {

class Session;

// What a variable is worth now. The text lives as long as the session (its arena, the head, a literal). Not found: used as empty, shown as
// `-` in logs.
struct Value {
  std::string_view text;
  bool found = true;
  static Value missing() { return Value{{}, false}; }
};

using GetVariable = Value (*)(Session& session, uintptr_t datum);
// For variables that may be set (`set $args ...`) and have an effect beyond their own value.
using SetVariable = void (*)(Session& session, std::string_view text, uintptr_t datum);

enum VariableFlag : uint8_t {
  variable_volatile = 1,    // not cached: it changes within a request
  variable_prefix = 2,      // the name is a prefix; `datum` points to the rest (a std::string_view)
  variable_changeable = 4,  // `set` and the like may take the name over
  variable_weak = 8,        // only counts if nothing else defines the name
};
enum VariableEngine : uint8_t { http_variable = 1, stream_variable = 2, any_variable = 3 };

// A row of a module's table.
struct VariableDef {
  std::string_view name;
  GetVariable get = nullptr;
  uint8_t flags = 0;
  uint8_t engines = any_variable;
  SetVariable set = nullptr;
  uintptr_t datum = 0;
};

class VariableTable {
 public:
  explicit VariableTable(uint8_t engine) : engine_(engine) {}
  VariableTable(const VariableTable&) = delete;
  VariableTable& operator=(const VariableTable&) = delete;

  // The index of `name` (without `$`), whether it is known yet or not.
  uint32_t use(std::string_view name, Place place);
  // Defines a variable that the configuration makes (map, geo, set, named captures). A built-in one that is not changeable, or another
  // definition with a getter, is `the duplicate "NAME" variable`.
  ConfResult<uint32_t> define(const VariableDef& def, Place place);
  // Gives every used name its definition: the configuration's, a module's, a prefix. The error: unknown "NAME" variable in FILE:LINE.
  ConfResult<Unit> finish();

  struct Entry {
    std::string name;
    GetVariable get = nullptr;
    SetVariable set = nullptr;
    uintptr_t datum = 0;
    uint8_t flags = 0;
    Place place;
    std::string_view rest;  // of a prefix variable
  };
  size_t size() const { return entries_.size(); }
  const Entry& entry(uint32_t index) const { return *entries_[index]; }
  // At run time, for names that come from scripts: the index of a name used or defined in the configuration, or nothing.
  std::optional<uint32_t> find(std::string_view name) const;
  // A module's definition of `name` (lower case), used in the configuration or not; of a prefix, with the datum still to be set. nullptr:
  // there is none.
  const VariableDef* built_in(std::string_view name) const;

 private:
  uint8_t engine_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::map<std::string, uint32_t, std::less<>> by_name_;
};

}  // namespace fairlead
