// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/title.h"

#include <string.h>
#include <unistd.h>

#include <algorithm>

extern char** environ;

namespace fairlead {
namespace {

struct Room {
  char* begin = nullptr;
  char* end = nullptr;
};
Room room;

// environ points into these; never freed, because getenv() results may be held anywhere.
struct Environment {
  std::vector<std::string> variables;
  std::vector<char*> pointers;
  Environment* before;
};

std::string_view name_of(std::string_view variable) { return variable.substr(0, variable.find('=')); }

}  // namespace

std::vector<std::string> take_arguments(int argc, char** argv) {
  std::vector<std::string> arguments(argv, argv + argc);
  if (argc < 1) return arguments;
  char* end = argv[0];
  for (int i = 0; i < argc; ++i) {
    if (argv[i] == end) end = argv[i] + strlen(argv[i]) + 1;
  }
  for (char** variable = environ; variable && *variable; ++variable) {
    if (*variable == end) end = *variable + strlen(*variable) + 1;
  }
  replace_environment(current_environment());
  room = {argv[0], end};
  return arguments;
}

void set_process_title(std::string_view title) {
  if (!room.begin) return;
  size_t size = static_cast<size_t>(room.end - room.begin);
  size_t kept = std::min(title.size(), size - 1);
  memcpy(room.begin, title.data(), kept);
  memset(room.begin + kept, 0, size - kept);
}

std::vector<std::string> current_environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; variable && *variable; ++variable) variables.emplace_back(*variable);
  return variables;
}

std::vector<std::string> filtered_environment(std::span<const std::string> directives, std::span<const std::string> current) {
  std::vector<std::string> kept;
  auto keep = [&](std::string_view name) {
    for (const std::string& variable : current) {
      if (name_of(variable) == name && variable.size() > name.size()) kept.push_back(variable);
    }
  };
  bool zone_named = false;
  for (const std::string& directive : directives) {
    zone_named = zone_named || name_of(directive) == "TZ";
    if (directive.find('=') != std::string::npos) kept.push_back(directive);
    else keep(directive);
  }
  if (!zone_named) keep("TZ");
  return kept;
}

void replace_environment(std::vector<std::string> variables) {
  static Environment* now = nullptr;
  auto* next = new Environment{std::move(variables), {}, now};
  for (std::string& variable : next->variables) next->pointers.push_back(variable.data());
  next->pointers.push_back(nullptr);
  environ = next->pointers.data();
  now = next;
}

}  // namespace fairlead
