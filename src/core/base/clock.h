// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Time, cached: the loop calls update() once per turn and everybody reads that. Texts are made when asked for, once per second. Also
// the dates of HTTP. Timers are in event. One Clock per process, for the event-loop thread (and the master); not for file threads.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace fairlead {

class Clock {
 public:
  // Reads the system's clocks; does nothing while virtual. Wall time follows a step of the system's clock within 100 ms.
  void update();

  // Milliseconds from an arbitrary start, never going back. For timers and durations.
  uint64_t now_ms() const { return now_ms_; }
  // Since 1970, UTC.
  int64_t wall_ms() const { return wall_ms_; }
  int64_t seconds() const { return wall_ms_ / 1000; }

  // The texts of wall time. The views stay valid until the next call of the same function in a later second.
  std::string_view http_date();       // Sun, 06 Nov 1994 08:49:37 GMT
  std::string_view log_time();        // 06/Nov/1994:08:49:37 +0000, local time
  std::string_view iso8601();         // 1994-11-06T08:49:37+00:00, local time
  std::string_view error_log_time();  // 1994/11/06 08:49:37, local time
  std::string_view syslog_time();     // Nov  6 08:49:37, local time (RFC 3164)
  std::string_view msec();            // 784111777.000, made anew for each millisecond

  // For simulation: both clocks stand at `ms` (wall time: since 1970) until the next call. set_real() ends it.
  void set_virtual(uint64_t ms);
  void set_real();

 private:
  template <size_t Size>
  struct Text {
    int64_t made_for = INT64_MIN;  // second, or millisecond in msec_
    char bytes[Size];
  };
  const tm& local();

  uint64_t now_ms_ = 0;
  int64_t wall_ms_ = 0;
  int64_t wall_offset_ns_ = 0;  // wall time less monotonic time
  int64_t synced_ns_ = INT64_MIN;
  bool virtual_ = false;
  int64_t local_second_ = INT64_MIN;
  tm local_ = {};
  Text<29> http_date_;
  Text<26> log_time_;
  Text<25> iso8601_;
  Text<19> error_log_time_;
  Text<15> syslog_time_;
  Text<24> msec_;
  size_t msec_size_ = 0;
};

// The process's clock. Zero until its first update().
extern Clock process_clock;
inline Clock& clock() { return process_clock; }

constexpr size_t http_date_size = 29;
// Writes http_date_size bytes (IMF-fixdate) for `seconds` since 1970; what lies outside the years 0 to 9999 is brought to the nearest
// that does not.
void format_http_date(int64_t seconds, char* to);
// The three forms of RFC 9110 section 5.6.7, in seconds since 1970. Any day of the week will do, " GMT" may be missing, and what follows
// a ';' is not looked at. A two-digit year is the latest that is not more than 50 years after `now`.
std::optional<int64_t> parse_http_date(std::string_view text, int64_t now = clock().seconds());

}  // namespace fairlead
