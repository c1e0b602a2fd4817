// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/conf/session.h"

#include "core/conf/generation.h"

namespace fairlead {

// Deeper than any sane map of maps; a cycle ends here.
static constexpr uint16_t variable_depth_max = 100;

Session::Session(Arena& arena, Generation& generation, const VariableTable& variables)
    : arena_(arena), generation_(generation), variables_(variables) {
  generation_.retain();
}

Session::~Session() { generation_.release(); }

Session::Cached& Session::cached(uint32_t index) {
  if (!values_) values_ = arena_.make_array<Cached>(variables_.size()).data();
  return values_[index];
}

const Session::Cached* Session::find_shared(uint32_t index) const {
  const Session* outermost = this;
  while (outermost->shares_with_) outermost = outermost->shares_with_;
  return outermost->values_ && outermost->values_[index].state == 3 ? &outermost->values_[index] : nullptr;
}

Value Session::variable(uint32_t index) {
  if (shares_with_)
    if (const Cached* shared = find_shared(index)) return Value{shared->text, true};
  Cached& cache = cached(index);
  if (cache.state == 1 || cache.state == 3) return Value{cache.text, true};
  if (cache.state == 2) return Value::missing();
  const VariableTable::Entry& entry = variables_.entry(index);
  if (depth_ >= variable_depth_max) {
    logger.error("cycle while evaluating variable \"{}\"", entry.name);
    return Value::missing();
  }
  ++depth_;
  Value value = entry.get(*this, entry.datum);
  --depth_;
  if (!(entry.flags & variable_volatile)) {
    cache.text = value.text;
    cache.state = value.found ? 1 : 2;
  }
  return value;
}

void Session::set_variable(uint32_t index, std::string_view text) {
  const VariableTable::Entry& entry = variables_.entry(index);
  if (entry.set) {
    entry.set(*this, text, entry.datum);
    forget_variable(index);
    return;
  }
  if (shares_with_) {
    shares_with_->set_variable(index, shares_with_->arena_.copy(text));
    return;
  }
  Cached& cache = cached(index);
  cache.text = text;
  cache.state = 3;
}

void Session::take_assigned(const Session& from) {
  if (from.shares_with_) take_assigned(*from.shares_with_);
  if (!from.values_) return;
  for (uint32_t i = 0; i < variables_.size(); ++i) {
    if (from.values_[i].state != 3) continue;
    Cached& own = cached(i);
    if (own.state != 3 || own.text != from.values_[i].text) own.text = arena_.copy(from.values_[i].text);
    own.state = 3;
  }
}

void Session::unset_variable(uint32_t index) {
  if (shares_with_) shares_with_->unset_variable(index);
  cached(index).state = 2;
}

void Session::forget_variable(uint32_t index) { cached(index).state = 0; }

std::string_view Session::capture(uint32_t group) const {
  if (2 * group + 1 >= capture_offsets_.size()) return {};
  if (capture_offsets_[2 * group] == SIZE_MAX) return "";
  return capture_subject_.substr(capture_offsets_[2 * group], capture_offsets_[2 * group + 1] - capture_offsets_[2 * group]);
}

void Session::keep_captures(std::string_view subject, std::span<const size_t> offsets) {
  if (capture_room_.size() < offsets.size()) capture_room_ = arena_.make_array<size_t>(std::max<size_t>(offsets.size(), 20));
  capture_offsets_ = capture_room_.first(offsets.size());
  capture_subject_ = subject;
  std::copy(offsets.begin(), offsets.end(), capture_offsets_.begin());
}

}  // namespace fairlead
