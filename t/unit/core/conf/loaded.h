// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// For unit tests: a configuration loaded from texts over the modules a test names, beside a small engine of blocks and variables; and
// sessions on it. Files live in a folder of their own that goes with the object. One Loaded at a time: the module list is the process's.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/conf/block.h"
#include "core/conf/error_log.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "core/conf/session.h"
#include "core/conf/template.h"
#include "core/process/conf.h"

namespace fairlead::test {

// What $arg_NAME and $http_NAME are worth now; missing where there is no entry.
inline std::map<std::string, std::string, std::less<>> inputs;

namespace engine {

struct Conf {};

template <uint32_t context>
ConfResult<Unit> open(Line& line, Conf&) {
  return line.read_block(*line.open_block(context));
}

inline ConfResult<Unit> open_location(Line& line, Conf&) {
  Block* block = line.open_block(in_location);
  std::string_view name = line.word(1);
  block->set_object(const_cast<char*>(line.arena().copy_z(name)));
  return line.read_block(*block);
}

constexpr std::array directives = {
    custom<open<in_events>, Conf>("events", in_main, words(0)).block(),
    custom<open<in_http>, Conf>("http", in_main, words(0)).block(),
    custom<open<in_stream>, Conf>("stream", in_main, words(0)).block(),
    custom<open<in_server>, Conf>("server", in_http, words(0)).block().many(),
    custom<open<in_stream_server>, Conf>("server", in_stream, words(0)).block().many(),
    custom<open_location, Conf>("location", in_server | in_location, words(1)).block().many(),
    custom<open<in_location_if>, Conf>("if", in_location, words_from(1)).block().many(),
};

inline Value input(Session&, uintptr_t datum) {
  auto found = inputs.find(*reinterpret_cast<const std::string_view*>(datum));
  return found == inputs.end() ? Value::missing() : Value{found->second, true};
}

inline Value uri(Session&, uintptr_t) { return Value{"/uri", true}; }

constexpr std::array variables = {
    VariableDef{.name = "uri", .get = &uri},
    VariableDef{.name = "args", .get = &uri, .flags = variable_changeable},
    VariableDef{.name = "arg_", .get = &input, .flags = variable_prefix},
    VariableDef{.name = "http_", .get = &input, .flags = variable_prefix, .engines = http_variable},
};

inline constinit const Module module = {.name = "test_engine", .conf = conf_of<Conf>, .directives = directives, .variables = variables};

}  // namespace engine

// Takes what is logged, without times.
class CaughtLog : public LogSink {
 public:
  CaughtLog() {
    default_log().clear();
    default_log().add(*this, LogLevel::warn);
  }
  ~CaughtLog() override { default_log().clear(); }
  void write(LogLevel level, std::string_view line) override {
    std::string text(line);
    size_t colon = text.find(": ");
    text = colon == std::string::npos ? text : text.substr(colon + 2);
    if (text.starts_with("*")) text = text.substr(text.find(' ') + 1);
    lines += std::string(log_level_name(level)) + ": " + text;
  }
  std::string lines;
};

class Loaded {
 public:
  explicit Loaded(std::vector<const Module*> list = {}) {
    list.push_back(&engine::module);
    list.push_back(&error_log_module);
    // RegexRule asks it for pcre_jit. Tests that bring directives of its names know no expressions.
    if (!brings(list, "daemon")) list.push_back(&process_module);
    auto assigned = modules().assign(std::move(list));
    EXPECT_TRUE(assigned) << assigned.error();
    char pattern[] = "/tmp/fairlead-conf-XXXXXX";
    folder_ = std::string(mkdtemp(pattern)) + "/";
    inputs.clear();
  }
  ~Loaded() {
    generation_.reset();
    std::filesystem::remove_all(folder_);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  const std::string& folder() const { return folder_; }
  Loaded& file(const std::string& name, std::string_view text) {
    std::filesystem::create_directories(std::filesystem::path(folder_ + name).parent_path());
    std::ofstream(folder_ + name, std::ios::binary) << text;
    return *this;
  }
  // Loads `text` as the file CONF. The error, with the folder's name left out, or nothing.
  std::string load(std::string_view text, std::string global_directives = {}) {
    generation_.reset();
    caught_.lines.clear();
    file("CONF", text);
    LoadRequest request;
    request.prefix = folder_;
    request.conf_path = folder_ + "CONF";
    request.global_directives = std::move(global_directives);
    auto made = Generation::load(request, nullptr);
    if (made) generation_ = std::move(*made);
    return made ? std::string() : without_folder(std::move(made.error()));
  }
  // Warnings and errors logged since the load.
  std::string logged() const { return without_folder(caught_.lines); }
  Generation& generation() const { return *generation_; }
  // The block reached by `path` of indexes among children, from the main one.
  Block& block(std::initializer_list<size_t> path) const {
    Block* block = &generation_->root();
    for (size_t index : path) block = block->children()[index];
    return *block;
  }
  // A template's text in a new session of the engine, in which $arg_* and $http_* are the inputs and the client is `client`. The
  // template must have been compiled by the load (see texts below).
  std::string evaluate(const Template& text, std::string_view client = "127.0.0.1", uint8_t engine = http_variable) {
    Arena::Owner arena = Arena::open(4096);
    Addr addr = Addr::parse_ip(client).value_or(Addr::local("/x"));
    Session session(*arena, *generation_, generation_->variables(engine));
    session.client_addr = &addr;
    session.block = &generation_->root();
    return std::string(text.evaluate(session));
  }

 private:
  static bool brings(const std::vector<const Module*>& list, std::string_view name) {
    for (const Module* module : list)
      for (const Directive& directive : module->directives)
        if (directive.name == name) return true;
    return false;
  }
  std::string without_folder(std::string text) const {
    for (size_t at; (at = text.find(folder_)) != std::string::npos;) text.erase(at, folder_.size());
    return text;
  }
  std::string folder_;
  CaughtLog caught_;
  std::unique_ptr<Generation> generation_;
};

// `text TEMPLATE;` anywhere keeps a template for evaluation; the last one read in the http part (or the stream part) counts.
namespace texts {

struct Conf {
  Template text;
};
constexpr std::array directives = {
    slot<Conf, &Conf::text>("text", in_http_any | in_stream_any),
};
inline constinit const Module module = {.name = "test_texts", .conf = conf_of<Conf>, .directives = directives};

}  // namespace texts

}  // namespace fairlead::test
