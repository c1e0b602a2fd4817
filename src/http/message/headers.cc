// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/message/headers.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "http/message/scan.h"

namespace fairlead::http {
bool is_token(std::string_view text) {
  if (text.empty()) return false;
  for (char byte : text) {
    if (!scan::is_token_byte(byte)) return false;
  }
  return true;
}

bool is_field_value(std::string_view text) { return !scan::has_control(text); }

bool list_names(std::string_view list, std::string_view token) {
  size_t single = 0;  // by far the most frequent: one token
  while (single < list.size() && list[single] != ',' && list[single] != ';') ++single;
  if (single == list.size()) return equal_nocase(trim(list), token);
  Splitter items = Splitter(list, ',').trimmed();
  std::string_view item;
  while (items.next(item)) {
    if (equal_nocase(trim(item.substr(0, item.find(';'))), token)) return true;
  }
  return false;
}

void Headers::grow() {
  uint32_t room = room_ == 0 ? std::max(room_first_, 4u) : room_ * 2;  // 0 for a list that is mostly empty (trailers)
  Field* to = static_cast<Field*>(arena_->allocate(room * sizeof(Field), alignof(Field)));
  if (size_ > 0) std::memcpy(static_cast<void*>(to), fields_, size_ * sizeof(Field));
  fields_ = to;
  room_ = room;
}

const Headers::Field* Headers::find_from(size_t index, KnownHeader known) const {
  for (const Field* field = fields_ + index; field < end(); ++field) {
    if (field->known == known) return field;
  }
  return nullptr;
}

const Headers::Field* Headers::find(std::string_view name) const {
  KnownHeader known = find_known_header(name);
  if (known != KnownHeader::other) return find(known);
  for (const Field& field : *this) {
    if (field.known == KnownHeader::other && equal_nocase(field.name, name)) return &field;
  }
  return nullptr;
}

const Headers::Field* Headers::next_same(const Field& field) const {
  for (const Field* next = &field + 1; next < end(); ++next) {
    if (next->known == field.known && (field.known != KnownHeader::other || equal_nocase(next->name, field.name))) return next;
  }
  return nullptr;
}

size_t Headers::count(KnownHeader known) const {
  size_t found = 0;
  for (const Field* field = find(known); field; field = next_same(*field)) ++found;
  return found;
}

bool Headers::any_names(KnownHeader known, std::string_view token) const {
  for (const Field* field = find(known); field; field = next_same(*field)) {
    if (list_names(field->value, token)) return true;
  }
  return false;
}

std::string_view Headers::join_from(const Field* first) const {
  if (!first) return {};
  const Field* second = next_same(*first);
  if (!second) return first->value;
  std::string_view between = first->known == KnownHeader::cookie ? "; " : ", ";
  size_t total = first->value.size();
  for (const Field* field = second; field; field = next_same(*field)) total += between.size() + field->value.size();
  char* to = static_cast<char*>(arena_->allocate(total, 1));
  char* at = std::copy(first->value.begin(), first->value.end(), to);
  for (const Field* field = second; field; field = next_same(*field)) {
    at = std::copy(between.begin(), between.end(), at);
    at = std::copy(field->value.begin(), field->value.end(), at);
  }
  return {to, total};
}

void Headers::set_field(KnownHeader known, std::string_view name, std::string_view value) {
  const Field* first = known != KnownHeader::other ? find(known) : find(name);
  if (!first) return add(known, name, value);
  size_t at = static_cast<size_t>(first - fields_);
  if (next_same(*first)) {
    remove_if([this, at](const Field& field) {
      return &field > fields_ + at && field.known == fields_[at].known &&
             (field.known != KnownHeader::other || equal_nocase(field.name, fields_[at].name));
    });
  }
  fields_[at].name = name;
  fields_[at].value = value;
}

size_t Headers::remove(KnownHeader known, std::string_view name) {
  if (known != KnownHeader::other) return remove(known);
  return remove_if([name](const Field& field) { return field.known == KnownHeader::other && equal_nocase(field.name, name); });
}

void Headers::shrink_to(uint32_t size) {
  size_ = size;
  std::memset(slots_, 0, sizeof(slots_));
  for (uint32_t i = 0; i < size_; ++i) {
    if (fields_[i].known != KnownHeader::other) note_slot(fields_[i].known, i);
  }
}

void Headers::rebase(const char* old_base, const char* new_base) {
  // Integers, because the old memory may be gone already.
  uintptr_t delta = reinterpret_cast<uintptr_t>(new_base) - reinterpret_cast<uintptr_t>(old_base);
  auto moved = [delta](std::string_view text) {
    return std::string_view(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(text.data()) + delta), text.size());
  };
  for (uint32_t i = 0; i < size_; ++i) {
    fields_[i].name = moved(fields_[i].name);
    fields_[i].value = moved(fields_[i].value);
  }
}

void Headers::take_array(Headers& other) {
  FL_ASSERT(arena_ == other.arena_);
  fields_ = std::exchange(other.fields_, nullptr);
  room_ = std::exchange(other.room_, 0);
  size_ = other.size_ = 0;
  std::memset(slots_, 0, sizeof slots_);
  std::memset(other.slots_, 0, sizeof other.slots_);
}

void Headers::adopt(Headers& other) {
  FL_ASSERT(arena_ == other.arena_);
  fields_ = other.fields_;
  size_ = other.size_;
  room_ = other.room_;
  std::memcpy(slots_, other.slots_, sizeof slots_);
  may_repeat_ = may_repeat_ || other.may_repeat_;
  other.fields_ = nullptr;
  other.size_ = other.room_ = 0;
  std::memset(other.slots_, 0, sizeof other.slots_);
}

}  // namespace fairlead::http
