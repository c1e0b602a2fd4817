// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Session: one unit of client work (an HTTP request, a stream connection) as far as both engines share it: its arena, its variables, its
// captures, the slots of modules, and the generation it holds. Request and Flow derive from it.
#pragma once

#include <span>
#include <string_view>

#include "core/base/addr.h"
#include "core/base/arena.h"
#include "core/base/log.h"
#include "core/base/slots.h"
#include "core/conf/variable.h"

namespace fairlead {

class Block;
class Generation;
class RegexMatch;

// Per-session state of a module: session_slot<T> is given at start (slot_of in the module's hooks is not needed: the first use numbers it).
inline uint16_t session_slot_count = 0;
template <class T>
inline const uint16_t session_slot = session_slot_count++;

class Session {
 public:
  Session(Arena& arena, Generation& generation, const VariableTable& variables);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Arena& arena() const { return arena_; }
  Generation& generation() const { return generation_; }
  const VariableTable& variables() const { return variables_; }

  // The value of a variable, evaluated at first use unless it is volatile.
  Value variable(uint32_t index);
  // Gives it a value for the rest of the session; built-in ones with a setter act on it. The text lives as long as the session.
  void set_variable(uint32_t index, std::string_view text);
  // It has no value for the rest of the session, or until it is set again.
  void unset_variable(uint32_t index);
  // Evaluates it again at the next use.
  void forget_variable(uint32_t index);

  // What was given a value in `from` (of the same configuration) has it here, too: the texts are copied. What a getter finds is not.
  void take_assigned(const Session& from);
  // From now on what is assigned in one of the two has its value in the other, too. `with` outlives this one.
  void share_assigned(Session& with) { shares_with_ = &with; }

  // $0 to $9 of the last successful match in this session; empty where the group took no part in it. Without data() there is none: no
  // match, or no group of the number, or only such that took no part from it on. The subject must live as long as the session.
  std::string_view capture(uint32_t group) const;
  void keep_captures(std::string_view subject, std::span<const size_t> offsets);

  // State of a module, made on first use in the arena; T is default-constructed.
  template <class T>
  T& slot() {
    if (T* made = find_slot<T>()) return *made;
    auto* slot = arena_.make<SlotOf<T>>();
    slot->index = session_slot<T>;
    slot->next = slots_;
    slots_ = slot;
    return slot->state;
  }
  // nullptr if there is none yet.
  template <class T>
  T* find_slot() {
    for (Slot* slot = slots_; slot; slot = slot->next)
      if (slot->index == session_slot<T>) return &static_cast<SlotOf<T>*>(slot)->state;
    return nullptr;
  }

  // -- what the engines fill in --
  Session* parent = nullptr;          // what this one is a part of (a subrequest's request); it outlives this one
  const Block* block = nullptr;       // the innermost block whose values hold now
  const Addr* client_addr = nullptr;  // of the peer, or what realip made of it
  const Addr* local_addr = nullptr;
  const Slots* connection_slots = nullptr;  // what modules keep of the client's connection; nullptr: there is none
  int client_fd = -1;                 // of the connection, for what only the kernel knows
  Logger logger;

 private:
  struct Cached {
    std::string_view text;
    uint8_t state = 0;  // 0: not evaluated, 1: found, 2: missing, 3: assigned
  };
  // In a list: of all that there could be, a session has one or two, and looking for one comes to
  // less than clearing an array of all.
  struct Slot {
    Slot* next = nullptr;
    uint16_t index = 0;
  };
  template <class T>
  struct SlotOf : Slot {
    T state;
  };
  Cached& cached(uint32_t index);
  // What is assigned in those that share with this one; nullptr: nothing.
  const Cached* find_shared(uint32_t index) const;

  Arena& arena_;
  Generation& generation_;
  const VariableTable& variables_;
  Cached* values_ = nullptr;
  Session* shares_with_ = nullptr;  // texts assigned here lie in its arena, and so on outwards
  Slot* slots_ = nullptr;  // the latest first
  std::string_view capture_subject_;
  std::span<size_t> capture_offsets_;  // of the last match, within capture_room_
  std::span<size_t> capture_room_;
  uint16_t depth_ = 0;  // of variables evaluating variables
};

// The Conf of a module as it holds for the session now.
template <class Conf>
const Conf& conf(const Session& session);

}  // namespace fairlead

#include "core/conf/block.h"

namespace fairlead {
template <class Conf>
const Conf& conf(const Session& session) { return conf<Conf>(*session.block); }
}  // namespace fairlead
