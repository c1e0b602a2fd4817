// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// What ps shows of us, and the environment: both live in the memory that the kernel gave the program for its arguments. One per process.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fairlead {

// Once, at the top of main(): moves the environment away so that titles have its room, and gives copies of the arguments.
std::vector<std::string> take_arguments(int argc, char** argv);

// "fairlead: worker process"; cut to the room there is. Does nothing before take_arguments().
void set_process_title(std::string_view title);

// The environment as the `env` directives leave it: NAME keeps the variable if `current` has it, NAME=VALUE sets it, TZ is always kept.
std::vector<std::string> filtered_environment(std::span<const std::string> directives, std::span<const std::string> current);
// What the process was started with.
std::vector<std::string> current_environment();
// From now on getenv() sees these, NAME=VALUE each.
void replace_environment(std::vector<std::string> variables);

}  // namespace fairlead
