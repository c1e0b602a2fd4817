// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/conf/location.h"

#include <algorithm>
#include <bit>

#include "core/base/format.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/conf/line.h"

namespace fairlead::http {

void set_content(const Line& line, Content content) {
  Location& location = location_of(line.block());
  bool is_other = location.content && location.content != content;
  if (is_other) line.warn(format("\"{}\" takes the place of another directive that answers the location", line.name()));
  location.content = content;
  location.takes_connect = false;
}

Location& location_of(const Block& block) {
  const Block* at = &block;
  while (!at->object<Location>() || !(at->context() & (in_location | in_server | in_server_if | in_location_if | in_limit_except)))
    at = at->parent();
  return *at->object<Location>();
}

static uint64_t size_bit(size_t bytes) { return uint64_t{1} << std::min<size_t>(bytes, 63); }

static bool by_name(const Location* a, const Location* b) { return a->name < b->name; }

static Location::Lookup::ExactName& place_for(std::vector<Location::Lookup::ExactName>& places, uint64_t hash) {
  size_t at = hash & (places.size() - 1);
  while (places[at].location) at = (at + 1) & (places.size() - 1);
  return places[at];
}

ConfResult<Unit> Location::finish() {
  std::vector<Location*> exact;
  for (Location* l : inner) {
    switch (l->match) {
      case Match::exact:
        exact.push_back(l);
        lookup.exact_sizes |= size_bit(l->name.size());
        lookup.adds_slash = lookup.adds_slash || l->redirects_without_slash;
        break;
      case Match::prefix:
      case Match::prefix_no_regex:
        lookup.prefixes.push_back(l);
        lookup.adds_slash = lookup.adds_slash || l->redirects_without_slash;
        break;
      case Match::regex: lookup.regexes.push_back(l); break;
      default: break;
    }
  }
  std::stable_sort(exact.begin(), exact.end(), by_name);
  std::stable_sort(lookup.prefixes.begin(), lookup.prefixes.end(), by_name);
  for (std::vector<Location*>* list : {&exact, &lookup.prefixes})
    for (size_t i = 1; i < list->size(); ++i)
      if ((*list)[i]->name == (*list)[i - 1]->name)
        return format("duplicate location \"{}\"{}\n", (*list)[i]->name, at_place((*list)[i]->block->place()));
  if (!exact.empty()) lookup.exact.resize(std::bit_ceil(2 * exact.size()));
  for (Location* l : exact) {
    uint64_t hash = hash_bytes(l->name);
    place_for(lookup.exact, hash) = {hash, l};
  }
  lookup.parent.assign(lookup.prefixes.size(), -1);
  for (size_t i = 0; i < lookup.prefixes.size(); ++i) {
    int32_t candidate = static_cast<int32_t>(i) - 1;
    while (candidate >= 0 && !lookup.prefixes[i]->name.starts_with(lookup.prefixes[candidate]->name)) candidate = lookup.parent[candidate];
    lookup.parent[i] = candidate;
  }
  for (Location* l : inner) FL_TRY(l->finish());
  return Unit();
}

// The longest prefix of `uri`: the last name not greater than it, or one of that name's own prefixes.
static Location* longest_prefix(const Location& from, std::string_view uri) {
  const std::vector<Location*>& list = from.lookup.prefixes;
  int32_t at = static_cast<int32_t>(list.size()) - 1;
  if (at > 0) {
    auto behind = std::upper_bound(list.begin(), list.end(), uri, [](std::string_view u, const Location* l) { return u < l->name; });
    at = static_cast<int32_t>(behind - list.begin()) - 1;
  }
  while (at >= 0 && !equal_short(uri.substr(0, list[at]->name.size()), list[at]->name)) at = from.lookup.parent[at];
  return at >= 0 ? list[at] : nullptr;
}

// `location /x/` or `= /x/` with a pass handler: the request for `/x` is for it, too. No sibling hides it but an exact `/x`. nullptr:
// there is none.
static Location* without_slash(const Location& from, std::string_view uri) {
  auto is_meant = [uri](const Location* l) { return l->redirects_without_slash && l->name.size() == uri.size() + 1; };
  if (from.lookup.exact_sizes & size_bit(uri.size() + 1))
    for (const Location::Lookup::ExactName& place : from.lookup.exact)
      if (place.location && is_meant(place.location) && place.location->name.starts_with(uri)) return place.location;
  const std::vector<Location*>& list = from.lookup.prefixes;
  auto at = std::lower_bound(list.begin(), list.end(), uri, [](const Location* l, std::string_view u) { return l->name < u; });
  for (; at != list.end() && (*at)->name.starts_with(uri); ++at)
    if (is_meant(*at)) return *at;
  return nullptr;
}

static Location* find_exact(const Location& from, std::string_view uri) {
  if (!(from.lookup.exact_sizes & size_bit(uri.size()))) return nullptr;
  const std::vector<Location::Lookup::ExactName>& places = from.lookup.exact;
  uint64_t hash = hash_bytes(uri);
  for (size_t at = hash & (places.size() - 1); places[at].location; at = (at + 1) & (places.size() - 1))
    if (places[at].hash == hash && equal_short(places[at].location->name, uri)) return places[at].location;
  return nullptr;
}

static Found search(Location& from, std::string_view uri, Session& session, bool& stop) {
  if (from.inner.empty()) return {&from};
  if (Location* exact = find_exact(from, uri)) {
    stop = true;
    return {exact};
  }
  Location* prefix = longest_prefix(from, uri);
  if (from.lookup.adds_slash && (!prefix || prefix->name.size() < uri.size())) {
    if (Location* place = without_slash(from, uri)) {
      stop = true;
      return {place, true};
    }
  }
  Found best{prefix ? prefix : &from};
  if (prefix && !prefix->inner.empty()) best = search(*prefix, uri, session, stop);
  if (stop) return best;
  if (prefix && prefix->match == Location::Match::prefix_no_regex) return best;  // "^~" is about the regexes beside it, not those outside
  for (Location* l : from.lookup.regexes) {
    Regex::Outcome outcome = l->regex->match(session, uri);
    if (outcome == Regex::Outcome::no_match) continue;
    stop = true;
    if (outcome == Regex::Outcome::error) return {nullptr};
    bool ignored = false;
    return search(*l, uri, session, ignored);
  }
  return best;
}

Found find_location(Location& from, std::string_view uri, Session& session) {
  bool stop = false;
  return search(from, uri, session, stop);
}

}  // namespace fairlead::http
