// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_auth_jwt/claims.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/text.h"

namespace fairlead::http::auth_jwt {

using Json = nlohmann::json;

int json_depth(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

struct Claims::Tree {
  Json json;
};

Claims::Claims() = default;
Claims::~Claims() = default;
Claims::Claims(Claims&&) noexcept = default;
Claims& Claims::operator=(Claims&&) noexcept = default;
Claims::Claims(std::unique_ptr<Tree> tree) : tree_(std::move(tree)) {}

ConfResult<Claims> Claims::parse(std::string_view text) {
  if (json_depth(text) > json_depth_max) return std::string("it nests too deeply");
  auto tree = std::make_unique<Tree>();
  tree->json = Json::parse(text, nullptr, false);
  if (tree->json.is_discarded()) return std::string("it is not JSON");
  if (!tree->json.is_object()) return std::string("it is not a JSON object");
  return Claims(std::move(tree));
}

static const Json* member(const Json& of, std::string_view name) {
  if (!of.is_object()) return nullptr;
  auto found = of.find(name);
  return found == of.end() ? nullptr : &*found;
}

static const Json* member_nocase(const Json& of, std::string_view name) {
  if (const Json* exact = member(of, name)) return exact;
  for (auto it = of.begin(); it != of.end(); ++it)
    if (equal_nocase(it.key(), name)) return &it.value();
  return nullptr;
}

bool Claims::has(std::string_view name) const { return tree_ && member(tree_->json, name); }

std::optional<std::string_view> Claims::string(std::string_view name) const {
  const Json* found = tree_ ? member(tree_->json, name) : nullptr;
  if (!found || !found->is_string()) return std::nullopt;
  return std::string_view(*found->get_ptr<const Json::string_t*>());
}

std::optional<double> Claims::number(std::string_view name) const {
  const Json* found = tree_ ? member(tree_->json, name) : nullptr;
  if (!found || !found->is_number()) return std::nullopt;
  double value = found->get<double>();
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

static std::string shown(const Json& value) {
  if (value.is_string()) return *value.get_ptr<const Json::string_t*>();
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<std::string> Claims::text(std::span<const std::string_view> path) const {
  if (!tree_ || path.empty()) return std::nullopt;
  const Json* at = &tree_->json;
  if (path.size() == 1) {
    at = member_nocase(*at, path[0]);
  } else {
    for (std::string_view name : path) {
      at = member(*at, name);
      if (!at) break;
    }
  }
  if (!at || at->is_null()) return std::nullopt;
  if (!at->is_array()) return shown(*at);
  std::string joined;
  for (const Json& element : *at) {
    if (&element != &at->front()) joined += ',';
    joined += shown(element);
  }
  return joined;
}

}  // namespace fairlead::http::auth_jwt
