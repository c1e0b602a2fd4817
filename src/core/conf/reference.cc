// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/reference.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/conf/left_out.h"

namespace fairlead {

namespace {

// Whether a configuration can get there: the words of a context's name are the directives that open it ("if in server").
bool is_open(std::string_view context, const ModuleList& list) {
  while (!context.empty()) {
    std::string_view word = context.substr(0, context.find(' '));
    if (word != "main" && word != "in" && list.rows(word).empty()) return false;
    context.remove_prefix(std::min(word.size() + 1, context.size()));
  }
  return true;
}

// "http, server": of a row's contexts those that these modules open. A row may be written for an engine that was left out.
std::string context_names(uint32_t contexts, const ModuleList& list) {
  std::string names;
  for (uint32_t bit = 1; bit != 0 && bit <= contexts; bit <<= 1) {
    std::string_view name = contexts & bit ? context_name(bit) : "";
    if (!name.empty() && is_open(name, list)) names.append(names.empty() ? "" : ", ").append(name);
  }
  return names;
}

}  // namespace

// "proxy_buffers number size;"
static std::string syntax(const Directive& directive) {
  std::string text(directive.name);
  if (!directive.type.empty()) {
    text.append(" ").append(directive.type);
  } else {
    for (uint16_t i = 0; i < directive.words.least; ++i) text += " value";
    if (directive.words.most == many_words) text += " ...";
    else if (directive.words.most > directive.words.least) text += " [value]";
  }
  return text + (directive.is_block ? " { ... }" : ";");
}

static void append_directive(std::string& to, const Directive& directive, const void* defaults, const ModuleList& list) {
  std::string contexts = context_names(directive.contexts, list);
  if (contexts.empty() && !(directive.contexts & in_any_own_block)) return;
  to += format("### {}\n\n- Syntax: `{}`\n", directive.name, syntax(directive));
  std::string value = directive.show && defaults ? directive.show(defaults) : std::string();
  if (value.empty()) value = directive.fallback;
  if (!value.empty()) to += format("- Default: `{} {};`\n", directive.name, value);
  to += format("- Context: {}\n", contexts.empty() ? std::string("blocks of this module") : contexts);
  if (directive.repeatable) to += "- May stand more than once in a block.\n";
  if (!directive.text.empty()) to += format("\n{}\n", directive.text);
  to += "\n";
}

static void append_variables(std::string& to, std::span<const VariableDef> variables) {
  if (variables.empty()) return;
  std::vector<std::string> names;
  for (const VariableDef& def : variables) names.push_back(format("`${}{}`", def.name, def.flags & variable_prefix ? "NAME" : ""));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  to += "Variables: ";
  for (size_t i = 0; i < names.size(); ++i) to.append(i == 0 ? "" : ", ").append(names[i]);
  to += "\n\n";
}

std::string directive_reference(const ModuleList& list) {
  constexpr size_t arena_bytes = 4096;
  Arena::Owner arena = Arena::open(arena_bytes);
  std::vector<const Module*> by_name(list.all().begin(), list.all().end());
  std::sort(by_name.begin(), by_name.end(), [](const Module* a, const Module* b) { return a->name < b->name; });
  std::string text = "# Directives\n\nWritten by the binary from the tables of its modules; do not edit.\n\n";
  for (const Module* module : by_name) {
    if (module->directives.empty() && module->variables.empty()) continue;
    text += format("## {}\n\n", module->name);
    const void* defaults = module->conf.make ? module->conf.make(*arena) : nullptr;
    for (const Directive& directive : module->directives) append_directive(text, directive, defaults, list);
    append_variables(text, module->variables);
  }
  text.pop_back();
  return text;
}

std::string left_out_reference() {
  std::string text =
      "\n## Left out\n\nDirectives of nginx that are refused, and why "
      "(of these and of the areas below some may be `off`: without_effect):\n\n";
  for (const LeftOut& entry : left_out_directives()) text += format("- `{}`: {}.\n", entry.name, entry.reason);
  text += "\nVariables of nginx that are not there, and why:\n\n";
  for (const LeftOut& entry : left_out_variables()) text += format("- `${}`: {}.\n", entry.name, entry.reason);
  text += "\n## Not built\n\nDirectives of these areas are refused:\n\n";
  for (const UnbuiltArea& entry : unbuilt_areas())
    text += format("- `{}{}`: {}.\n", entry.word, entry.word.ends_with('_') ? "*" : "", entry.area);
  return text;
}

}  // namespace fairlead
