// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Slots: at most one value of each type, owned. For what modules keep of a connection: most have nothing, so an empty one is one pointer,
// and a search walks a list of a few. (A session's slots are in its arena: Session::slot.)
#pragma once

#include <memory>

namespace fairlead {

class Slots {
 public:
  Slots() = default;
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  // The value of type T, default-constructed at first.
  template <class T>
  T& use() {
    if (T* known = find<T>()) return *known;
    auto made = std::make_unique<Holder<T>>();
    made->next = std::move(first_);
    first_ = std::move(made);
    return static_cast<Holder<T>&>(*first_).value;
  }
  // nullptr if there is none.
  template <class T>
  T* find() const {
    for (Entry* entry = first_.get(); entry; entry = entry->next.get())
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
    std::unique_ptr<Entry> next;
  };
  template <class T>
  struct Holder final : Entry {
    Holder() : Entry(&type_of<T>) {}
    T value{};
  };
  std::unique_ptr<Entry> first_;
};

}  // namespace fairlead
