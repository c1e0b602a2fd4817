// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The only error vocabulary: what went wrong (Fault), on whose side (Side), and Result<T>.
// Peer misbehaviour is an Error, a broken invariant is FL_ASSERT. Retry policy and status mapping read
// the fields of Error and nothing else. Wording for configuration errors is a std::string (ConfResult).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>

namespace fairlead {

enum class Fault : uint8_t {
  none,
  system,      // a system call failed; `sys` says how
  closed,      // orderly end of stream where more was expected
  reset,       // the other side aborted
  refused,     // connect was refused or the address is unreachable
  timeout,     // a deadline passed
  malformed,   // bytes that break the protocol
  too_large,   // a named limit was exceeded
  exhausted,   // memory, descriptors or a zone ran out
  canceled,    // nobody wants the result any more
  unavailable, // nothing to serve it: no peer, no name
  denied,      // policy
  unsupported, // well-formed, but not something we do
};

enum class Side : uint8_t { local, client, upstream };

// Trivially copyable. `what`, a sentence fragment for the log, outlives whoever hears of the error:
// a literal, or in the request's arena.
struct Error {
  Fault fault = Fault::none;
  Side side = Side::local;
  int sys = 0;
  const char* what = "";

  static Error from_errno(int err, const char* what, Side side = Side::local);
};

struct Unit {};

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

// Kept in release builds: a broken invariant ends the worker (the master replaces it) instead of serving wrong bytes.
#define FL_ASSERT(expression) \
  (__builtin_expect(!!(expression), 1) ? void(0) : ::fairlead::assertion_failed(#expression, __FILE__, __LINE__))

// A value or an error. Reading the wrong one is an assertion.
template <class T, class E = Error>
class [[nodiscard]] Result {
 public:
  using Value = T;
  Result(T value) : ok_(true) { new (&value_) T(std::move(value)); }
  Result(E error) : ok_(false) { new (&error_) E(std::move(error)); }
  Result(Result&& other) noexcept : ok_(other.ok_) { take(std::move(other)); }
  Result(const Result& other) : ok_(other.ok_) {
    if (ok_) new (&value_) T(other.value_);
    else new (&error_) E(other.error_);
  }
  Result& operator=(Result other) noexcept {
    destroy();
    ok_ = other.ok_;
    take(std::move(other));
    return *this;
  }
  ~Result() { destroy(); }

  explicit operator bool() const { return ok_; }
  bool ok() const { return ok_; }
  T& operator*() { FL_ASSERT(ok_); return value_; }
  const T& operator*() const { FL_ASSERT(ok_); return value_; }
  T* operator->() { FL_ASSERT(ok_); return &value_; }
  const T* operator->() const { FL_ASSERT(ok_); return &value_; }
  const E& error() const { FL_ASSERT(!ok_); return error_; }
  E& error() { FL_ASSERT(!ok_); return error_; }

 private:
  void take(Result&& other) {
    if (ok_) new (&value_) T(std::move(other.value_));
    else new (&error_) E(std::move(other.error_));
  }
  void destroy() {
    if (ok_) value_.~T();
    else error_.~E();
  }
  bool ok_;
  union {
    T value_;
    E error_;
  };
};

// A configuration answer: the value, or the reason as the operator will read it (without file and line: the reader adds them).
template <class T = Unit>
using ConfResult = Result<T, std::string>;

// Evaluates `expression` (a Result); on error returns its error from the enclosing plain function.
#define FL_TRY(expression)                                  \
  do {                                                      \
    auto fl_result_ = (expression);                         \
    if (!fl_result_) return std::move(fl_result_.error());  \
  } while (0)

}  // namespace fairlead
