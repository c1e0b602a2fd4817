// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Slots: at most one value of each type, owned. For what modules keep of a connection: most have nothing, so an empty one is one pointer,
// and a search walks a list of a few. (A session's slots are in its arena: Session::slot.)
#pragma once

#include <cstdint>

namespace fairlead {

class Slots {
 public:
  Slots() = default;
  ~Slots() { release(first_); }
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  // The values of `from` are here, too, the same ones, and last as long as either. What is made after this is its maker's alone. Before the
  // first use.
  void share(const Slots& from) {
    release(first_);
    first_ = from.first_;
    if (first_) ++first_->users;
  }
  // The value of type T, default-constructed at first.
  template <class T>
  T& use() {
    if (T* known = find<T>()) return *known;
    auto* made = new Holder<T>;
    made->next = first_;
    first_ = made;
    return made->value;
  }
  // nullptr if there is none.
  template <class T>
  T* find() const {
    for (Entry* entry = first_; entry; entry = entry->next)
      if (entry->type == &type_of<T>) return &static_cast<Holder<T>*>(entry)->value;
    return nullptr;
  }

 private:
  template <class T>
  static constexpr char type_of = 0;  // its address is the type's identity
  struct Entry {
    explicit Entry(const void* of) : type(of) {}
    virtual ~Entry() = default;
    const void* type;
    Entry* next = nullptr;
    uint32_t users = 1;  // the entry before it, or Slots that begin with it
  };
  template <class T>
  struct Holder final : Entry {
    Holder() : Entry(&type_of<T>) {}
    T value{};
  };
  static void release(Entry* entry) {
    while (entry && --entry->users == 0) {
      Entry* next = entry->next;
      delete entry;
      entry = next;
    }
  }
  Entry* first_ = nullptr;
};

}  // namespace fairlead
