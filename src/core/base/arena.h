// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Bump memory for everything that dies together: a request, a configuration generation. The Arena object lies at the start of its
// own first block. Objects with destructors are destroyed in reverse order of making; nothing is given back before close().
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/base/error.h"

namespace fairlead {

class Arena {
 public:
  struct Close {
    void operator()(Arena* arena) const { arena->close(); }
  };
  using Owner = std::unique_ptr<Arena, Close>;

  // `block_bytes`: the size of the first block, and the least of each further one.
  static Owner open(size_t block_bytes);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Uninitialised memory, aligned to `align` (a power of two, at most 16). Zero bytes give a valid pointer.
  void* allocate(size_t bytes, size_t align = alignof(void*)) {
    char* at = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(next_) + align - 1) & ~(align - 1));
    if (at + bytes > end_) return allocate_slow(bytes, align);
    next_ = at + bytes;
    return at;
  }
  template <class T, class... Args>
  T* make(Args&&... args) {
    if constexpr (std::is_trivially_destructible_v<T>) {
      return new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
    } else {
      auto* holder = new (allocate(sizeof(Holder<T>), alignof(Holder<T>))) Holder<T>(std::forward<Args>(args)...);
      holder->destroy = [](CleanUp* self) { static_cast<Holder<T>*>(self)->~Holder<T>(); };
      holder->next = clean_ups_;
      clean_ups_ = holder;
      return &holder->value;
    }
  }
  // `count` value-initialised elements of a trivially destructible type.
  template <class T>
  std::span<T> make_array(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    T* first = static_cast<T*>(allocate(sizeof(T) * count, alignof(T)));
    if constexpr (std::is_scalar_v<T>) std::memset(static_cast<void*>(first), 0, sizeof(T) * count);  // null pointers and zeros
    else for (size_t i = 0; i < count; ++i) new (first + i) T();
    return {first, count};
  }
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* to = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }
  // A copy followed by a zero byte (not counted), for system calls.
  const char* copy_z(std::string_view text) {
    char* to = static_cast<char*>(allocate(text.size() + 1, 1));
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    to[text.size()] = '\0';
    return to;
  }
  // For text of a length that is known once it is written: the latest allocation ends at `unused` in place of `end`. Does nothing where
  // that is not what it was.
  void give_back(char* unused, const char* end) {
    if (next_ == end) next_ = unused;
  }
  // One text from several.
  std::string_view join(std::initializer_list<std::string_view> parts);
  // The bytes held in blocks, for the tests and the memory report.
  size_t held_bytes() const { return held_bytes_; }

 private:
  struct CleanUp {
    void (*destroy)(CleanUp*) = nullptr;
    CleanUp* next = nullptr;
  };
  template <class T>
  struct Holder : CleanUp {
    template <class... Args>
    explicit Holder(Args&&... args) : value(std::forward<Args>(args)...) {}
    T value;
  };
  struct Block {
    Block* next;
    size_t bytes;
  };

  Arena() = default;
  ~Arena() = default;
  void close();
  void* allocate_slow(size_t bytes, size_t align);

  char* next_ = nullptr;
  char* end_ = nullptr;
  Block* blocks_ = nullptr;  // newest first; the last one holds this object
  CleanUp* clean_ups_ = nullptr;
  size_t block_bytes_ = 0;
  size_t held_bytes_ = 0;
};

}  // namespace fairlead
