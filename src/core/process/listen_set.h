// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The listening sockets of one configuration: opened as a whole or not at all, adopted by address from the configuration before, from an
// old binary (environment variable NGINX) or from the service manager (LISTEN_FDS). A ListenSet shares its sockets with the sets before
// and after it; files of unix sockets are removed only where it is said.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/process/listen_socket.h"

namespace fairlead {

// Descriptors handed over by whoever executed us. Closes what nobody took when told to, not before: until the configuration stands, a
// failed start must leave them as they were.
class InheritedSockets {
 public:
  // From NGINX ("7;8;", also with ':'), with FAIRLEAD_ACTIVATED, and LISTEN_FDS; all are then removed from the environment, so that it
  // holds for one start.
  static InheritedSockets from_environment(const Logger& log);
  // "7;8;" as nginx reads it: what is no number ends it, with an [emerg] line. `activated` ("8;"): which of them the old binary had from
  // the service manager.
  void add_list(std::string_view list, std::string_view activated, const Logger& log);
  void add(int descriptor, ListenSocket::Origin origin, const Logger& log);

  // The next socket bound to that place, or null.
  std::shared_ptr<ListenSocket> take(const ListenSpec& spec);
  // Those of the service manager that nobody took.
  std::vector<std::shared_ptr<ListenSocket>> take_activated();
  // What nobody took. Sockets that a set holds stay open.
  void close_unused();
  // Another binary, still there or not, executed us to take its place.
  bool from_old_binary() const { return from_old_binary_; }

 private:
  struct Entry {
    std::shared_ptr<ListenSocket> socket;
    bool taken = false;
  };
  std::vector<Entry> entries_;
  bool from_old_binary_ = false;
};

class ListenSet;

// Which files of unix sockets go with the sockets that are closed. What an old binary had opened it
// may still serve; not so what was opened since.
enum class FilesGone : uint8_t { none, of_opened, all };

struct ListenPlan {
  enum class Mode : uint8_t {
    start,   // an address in use is tried again: five times in all, 500 ms apart
    reload,  // once
    test,    // an address in use is no error, nothing listens, files are removed at once
  };
  Mode mode = Mode::start;
  unsigned workers = 1;                   // slots, for reuseport
  ListenSet* previous = nullptr;          // whose sockets may be adopted, and get all that arrives until commit()
  InheritedSockets* inherited = nullptr;  // likewise
};

class ListenSet {
 public:
  struct Listener {
    ListenSpec spec;
    std::vector<std::shared_ptr<ListenSocket>> sockets;  // one, or with reuseport one per worker slot
    // To how many sockets the program of the kernel's group gives what arrives; 0: the group has none. Kept by the kernel from one
    // configuration to the next; nobody tells what another binary left.
    unsigned steered = 0;

    // What the worker in `slot` accepts from.
    int descriptor(unsigned slot) const {
      size_t at = spec.reuseport ? slot : 0;
      FL_ASSERT(at < sockets.size());
      return sockets[at]->descriptor();
    }
  };

  ListenSet() = default;
  ListenSet(const ListenSet&) = delete;
  ListenSet& operator=(const ListenSet&) = delete;
  // A set that was never committed takes back what it opened: its socket files go, too.
  ~ListenSet();

  // Before open(); no two at one place (FL_ASSERT): who reads `listen` lines merges them. Gives its index.
  size_t add(ListenSpec spec);

  // All or nothing; the error is the line for the log, written nowhere yet (except for the tries at start). Reversible until commit(), also
  // when workers accept from it already: where the previous set listens, sockets of further slots get nothing before. Sockets of slots that
  // are gone (or that an old binary had more of) become retired(); so do those of the service manager, which stay open for a later set.
  ConfResult<> open(const ListenPlan& plan, const Logger& log);
  // The point of no return. Closes the sockets of `previous` that this set did not adopt, and
  // removes the files that `gone` says. What is retired() gets no new connections from here on.
  void commit(ListenSet* previous, FilesGone gone, const Logger& log);

  // Another binary that had the same sockets is gone: what arrives goes to the sockets of this set again, wherever that one had it go.
  void steer_again(const Logger& log);

  std::span<const Listener> listeners() const { return listeners_; }
  // Sockets of slots that are gone, in the order of the kernel's group. The worker in slot 0 accepts what still stands in their backlogs.
  // They stay open (closing one would renumber the group under the program that steers it) and are the first that growth takes back. Also
  // sockets of the service manager whose address is not listened to at present.
  std::span<const std::shared_ptr<ListenSocket>> retired() const { return retired_; }

  // In a new worker: closes the sockets of the other slots.
  void keep_slot(unsigned slot);
  // Closes what `other` has no part in.
  void close_unshared(const ListenSet& other, FilesGone gone, const Logger& log);
  // In the master when it leaves or stops listening.
  void close_all(FilesGone gone, const Logger& log);

  // "7;8;": the descriptors for the environment variable NGINX of a new binary.
  std::string descriptor_list() const;
  // Which of them are the service manager's, for FAIRLEAD_ACTIVATED beside it.
  std::string activated_list() const;
  // In the child that is about to execute it: lets them survive that.
  void keep_over_exec() const;

 private:
  ConfResult<> open_once(const ListenPlan& plan, const Logger& log, bool& in_use);
  ConfResult<> start_listening(const ListenPlan& plan, const Logger& log);
  const Listener* find(const ListenSpec& spec) const;
  void adopt(Listener& listener, const ListenPlan& plan, const Logger& log);
  bool uses(const ListenSocket* socket) const;
  void retire_surplus(const ListenSet& previous);
  bool has_retired(const Listener& listener) const;
  bool must_steer(const Listener& listener) const;
  void steer(Listener& listener, const Logger& log);
  // Before and after a set with `slots` sockets there adds to them: what arrives goes on to those of this set.
  void keep_arrivals(const ListenSpec& spec, size_t slots);

  std::vector<Listener> listeners_;
  std::vector<std::shared_ptr<ListenSocket>> opened_;  // by this set, to be taken back until commit()
  std::vector<std::shared_ptr<ListenSocket>> retired_;
  bool committed_ = false;
};

}  // namespace fairlead
