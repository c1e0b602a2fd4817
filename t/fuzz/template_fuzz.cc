// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Templates: any bytes are cut or refused; the parts written out again are the text, as far as braces leave a choice, and cutting that
// gives the same parts.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "core/conf/template.h"
#include "core/conf/variable.h"

namespace {

using namespace fairlead;

// Every variable in braces; nothing for a refused text.
std::string written(std::string_view text, bool captures) {
  std::unique_ptr<char[]> copy(new char[text.size()]);
  std::copy(text.begin(), text.end(), copy.get());
  VariableTable variables(any_variable);
  auto parts = cut_template({copy.get(), text.size()}, variables, Place{}, captures);
  if (!parts) return {};
  std::string all;
  for (const Template::Part& part : *parts) {
    switch (part.kind) {
      case Template::Part::Kind::literal:
        if (part.text.empty() || part.text.find('$') != std::string_view::npos) std::abort();
        all += part.text;
        break;
      case Template::Part::Kind::variable: all.append("${").append(variables.entry(part.index).name).append("}"); break;
      case Template::Part::Kind::capture:
        if (!captures || part.index < 1 || part.index > 9) std::abort();
        all.append("$").append(std::to_string(part.index));
        break;
    }
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size > 4096) return 0;
  std::string_view text(reinterpret_cast<const char*>(bytes), size);
  for (bool captures : {false, true}) {
    std::string once = written(text, captures);
    if (written(once, captures) != once) std::abort();
    if (text.find('$') == std::string_view::npos && once != text) std::abort();
  }
  return 0;
}
