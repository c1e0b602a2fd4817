// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The header fields of one message, in order, with direct access to the known ones. The list lies in the Arena; the texts are views of
// whatever the caller gave (the head's segment, the arena, literals), which must live as long as the list. What a field means
// is not decided here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/base/arena.h"
#include "http/message/known_header.h"

namespace fairlead::http {

// RFC 9110 section 5.6.2: not empty and token characters only.
bool is_token(std::string_view text);
// RFC 9110 section 5.5: no control character but HTAB. What comes from outside and goes into a head must pass this.
bool is_field_value(std::string_view text);
// Whether the comma-separated `list` (Connection, Upgrade, TE) names `token`; parameters after `;` are not looked at.
bool list_names(std::string_view list, std::string_view token);

class Headers {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
    KnownHeader known = KnownHeader::other;
  };

  // `room`: fields that fit before the list has to move.
  explicit Headers(Arena& arena, uint32_t room = 14) : arena_(&arena), room_first_(room) {}
  Headers(const Headers&) = delete;
  Headers& operator=(const Headers&) = delete;

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  // What the fields take on the wire in HTTP/1: name, ": ", value, CRLF.
  size_t bytes() const {
    size_t sum = 0;
    for (const Field& field : *this) sum += field.name.size() + field.value.size() + 4;
    return sum;
  }
  const Field* begin() const { return fields_; }
  const Field* end() const { return fields_ + size_; }
  Arena& arena() const { return *arena_; }

  // Appends a field. The three-argument form spares the look-up; `known` must be that of `name`.
  void add(std::string_view name, std::string_view value) { add(find_known_header(name), name, value); }
  void add(KnownHeader known, std::string_view value) { add(known, header_name(known), value); }
  void add(KnownHeader known, std::string_view name, std::string_view value) {
    if (size_ == room_) grow();
    new (fields_ + size_) Field{name, value, known};
    if (known != KnownHeader::other) note_slot(known, size_);
    ++size_;
  }

  // add() for a loop over many: the list shows them once this is destroyed, has() excepted. Nothing else changes the list meanwhile.
  class Adding {
   public:
    explicit Adding(Headers& to) : to_(to), next_(to.fields_ + to.size_), end_(to.fields_ + to.room_), size_(to.size_) {}
    ~Adding() { to_.size_ = size_; }
    Adding(const Adding&) = delete;
    Adding& operator=(const Adding&) = delete;
    bool has(KnownHeader known) const { return to_.has(known); }
    void add(KnownHeader known, std::string_view name, std::string_view value) {
      if (next_ == end_) [[unlikely]] grow();
      new (next_++) Field{name, value, known};
      if (known != KnownHeader::other) to_.note_slot(known, size_);
      ++size_;
    }

   private:
    void grow() {
      to_.size_ = size_;
      to_.grow();
      next_ = to_.fields_ + size_;
      end_ = to_.fields_ + to_.room_;
    }
    Headers& to_;
    Field *next_, *end_;
    uint32_t size_;
  };

  // The first such field, or nullptr. Pointers hold until the next change of the list.
  const Field* find(KnownHeader known) const {
    uint8_t slot = slots_[static_cast<unsigned>(known)];
    if (slot == 0) return nullptr;
    return slot != slot_overflow ? fields_ + (slot - 1) : find_from(slot_overflow - 1, known);
  }
  const Field* find(std::string_view name) const;
  // The field of the same name after `field`, which is in this list, or nullptr.
  const Field* next_same(const Field& field) const;
  bool has(KnownHeader known) const { return slots_[static_cast<unsigned>(known)] != 0; }
  size_t count(KnownHeader known) const;
  // False: no known name has been added twice since this list was made.
  bool may_repeat() const { return may_repeat_; }
  // The first value; empty if there is none (or if it is empty).
  std::string_view value(KnownHeader known) const {
    const Field* field = find(known);
    return field ? field->value : std::string_view();
  }
  // All values of the name in order, between them ", " ("; " for Cookie); a view of the only value, else made in the arena.
  std::string_view joined(KnownHeader known) const { return join_from(find(known)); }
  std::string_view joined(std::string_view name) const { return join_from(find(name)); }
  // Whether any field of this name lists `token` (comma-separated, case-insensitive).
  bool any_names(KnownHeader known, std::string_view token) const;

  // Replaces the first such field in place and removes the others; appends if there was none.
  void set(std::string_view name, std::string_view value) { set_field(find_known_header(name), name, value); }
  void set(KnownHeader known, std::string_view value) { set_field(known, header_name(known), value); }

  // Gives how many were removed. The order of the rest stays.
  size_t remove(KnownHeader known) {
    return has(known) ? remove_if([known](const Field& field) { return field.known == known; }) : 0;
  }
  size_t remove(std::string_view name) { return remove(find_known_header(name), name); }
  size_t remove(KnownHeader known, std::string_view name);  // as add(): `known` must be that of `name`
  template <class Predicate>
  size_t remove_if(Predicate&& predicate) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < size_; ++i) {
      if (predicate(static_cast<const Field&>(fields_[i]))) continue;
      if (kept != i) fields_[kept] = fields_[i];
      ++kept;
    }
    uint32_t removed = size_ - kept;
    if (removed > 0) shrink_to(kept);
    return removed;
  }
  void clear() { shrink_to(0); }
  // Takes the fields of `other`, which is left empty; both lists have the same arena. What this list held is gone.
  void adopt(Headers& other);
  // Puts the fields of `other` in front of its own, but for those that `is_dropped` says yes to. Arena and rest as for adopt().
  template <class Predicate>
  void take_over(Headers& other, Predicate&& is_dropped) {
    const Field* own = fields_;
    uint32_t own_size = size_, given = other.size_;
    take_array(other);
    Field* kept = fields_;
    for (Field *field = fields_, *end = fields_ + given; field < end; ++field) {
      if (is_dropped(static_cast<const Field&>(*field))) continue;
      if (kept != field) *kept = *field;
      if (kept->known != KnownHeader::other) note_slot(kept->known, static_cast<uint32_t>(kept - fields_));
      ++kept;
    }
    size_ = static_cast<uint32_t>(kept - fields_);
    for (uint32_t i = 0; i < own_size; ++i) add(own[i].known, own[i].name, own[i].value);
  }

  // All texts are views of memory that moved as a whole from `old_base` to `new_base` (the parser's buffer grew).
  void rebase(const char* old_base, const char* new_base);

 private:
  static constexpr uint8_t slot_overflow = 255;  // the first one stands at this index - 1 or behind

  void grow();
  void note_slot(KnownHeader known, uint32_t index) {
    uint8_t& slot = slots_[static_cast<unsigned>(known)];
    if (slot == 0) slot = index + 1 < slot_overflow ? static_cast<uint8_t>(index + 1) : slot_overflow;
    else may_repeat_ = true;
  }
  const Field* find_from(size_t index, KnownHeader known) const;
  std::string_view join_from(const Field* first) const;
  void set_field(KnownHeader known, std::string_view name, std::string_view value);
  void shrink_to(uint32_t size);
  // Forgets its own fields for the memory of those of `other`, which is left empty.
  void take_array(Headers& other);

  Arena* arena_;
  Field* fields_ = nullptr;
  uint32_t size_ = 0;
  uint32_t room_ = 0;
  uint32_t room_first_;
  uint8_t slots_[(known_header_count + 15) / 16 * 16] = {};  // index + 1 of the first; 0: none. In whole words, cleared by a few stores
  bool may_repeat_ = false;
};

}  // namespace fairlead::http
