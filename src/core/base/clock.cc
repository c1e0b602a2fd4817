// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/clock.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

#include "core/base/text.h"

namespace fairlead {

Clock process_clock;

namespace {

constexpr int64_t ns_per_second = 1'000'000'000;
constexpr int64_t sync_interval_ns = 100'000'000;
constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
constexpr std::string_view days = "SunMonTueWedThuFriSat";
constexpr std::string_view long_days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

int64_t read_ns(clockid_t which) {
  timespec now;
  clock_gettime(which, &now);
  return int64_t{now.tv_sec} * ns_per_second + now.tv_nsec;
}

// Writes fixed-width pieces.
struct Pen {
  char* at;
  void text(std::string_view piece) {
    std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  }
  void number(int value, int digits, char fill = '0') {
    for (int i = digits - 1; i >= 0; --i, value /= 10) {
      at[i] = value == 0 && i < digits - 1 ? fill : static_cast<char>('0' + value % 10);
    }
    at += digits;
  }
  void time(const tm& t) {
    number(t.tm_hour, 2);
    text(":");
    number(t.tm_min, 2);
    text(":");
    number(t.tm_sec, 2);
  }
  void zone(const tm& t, std::string_view between) {
    int minutes = static_cast<int>(t.tm_gmtoff / 60);
    text(minutes < 0 ? "-" : "+");
    minutes = std::abs(minutes);
    number(minutes / 60, 2);
    text(between);
    number(minutes % 60, 2);
  }
};

std::string_view month_name(int month) { return months.substr(static_cast<size_t>(month) * 3, 3); }

// Takes pieces from the front of a date; once something does not fit, `good` is false and stays so.
struct Reader {
  std::string_view rest;
  bool good = true;

  void text(std::string_view expected) {
    if (!rest.starts_with(expected)) good = false;
    else rest.remove_prefix(expected.size());
  }
  // Exactly `digits` of them; the first may be a space if `spaced`.
  int number(size_t digits, bool spaced = false) {
    std::string_view piece = rest.substr(0, digits);
    if (spaced && piece.size() == digits && piece[0] == ' ') piece.remove_prefix(1);
    std::optional<uint64_t> value = parse_decimal(piece);
    if (!value || rest.size() < digits) {
      good = false;
      return 0;
    }
    rest.remove_prefix(digits);
    return static_cast<int>(*value);
  }
  int month() {
    size_t at = rest.size() < 3 ? std::string_view::npos : months.find(rest.substr(0, 3));
    if (at == std::string_view::npos || at % 3 != 0) {
      good = false;
      return 1;
    }
    rest.remove_prefix(3);
    return static_cast<int>(at / 3) + 1;
  }
  void time(tm& t) {
    t.tm_hour = number(2);
    text(":");
    t.tm_min = number(2);
    text(":");
    t.tm_sec = number(2);
  }
  void zone() {
    for (std::string_view name : {" GMT", " +0000"})
      if (rest.starts_with(name)) return rest.remove_prefix(name.size());
  }
};

// Seconds since 1970; here tm_year is the full year and tm_mon is 1 to 12.
std::optional<int64_t> seconds_of(const tm& t) {
  using namespace std::chrono;
  year_month_day date{year{t.tm_year}, month{static_cast<unsigned>(t.tm_mon)}, day{static_cast<unsigned>(t.tm_mday)}};
  if (!date.ok() || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 60) return std::nullopt;  // 60: a leap second
  int64_t day_count = sys_days{date}.time_since_epoch().count();
  return ((day_count * 24 + t.tm_hour) * 60 + t.tm_min) * 60 + t.tm_sec;
}

int year_of(int64_t seconds) {
  using namespace std::chrono;
  return static_cast<int>(year_month_day{floor<std::chrono::days>(sys_seconds{std::chrono::seconds{seconds}})}.year());
}

}  // namespace

void Clock::update() {
  if (virtual_) return;
  int64_t ns = read_ns(CLOCK_MONOTONIC);
  if (synced_ns_ == INT64_MIN || ns - synced_ns_ >= sync_interval_ns) {
    wall_offset_ns_ = read_ns(CLOCK_REALTIME) - ns;
    synced_ns_ = ns;
  }
  now_ms_ = static_cast<uint64_t>(ns / 1'000'000);
  wall_ms_ = (ns + wall_offset_ns_) / 1'000'000;
}

void Clock::set_virtual(uint64_t ms) {
  virtual_ = true;
  now_ms_ = ms;
  wall_ms_ = static_cast<int64_t>(ms);
}

void Clock::set_real() {
  virtual_ = false;
  synced_ns_ = INT64_MIN;
  update();
}

const tm& Clock::local() {
  if (local_second_ != seconds()) {
    local_second_ = seconds();
    time_t at = local_second_;
    localtime_r(&at, &local_);
  }
  return local_;
}

std::string_view Clock::http_date() {
  if (http_date_.made_for != seconds()) {
    http_date_.made_for = seconds();
    format_http_date(seconds(), http_date_.bytes);
  }
  return {http_date_.bytes, sizeof(http_date_.bytes)};
}

std::string_view Clock::log_time() {
  if (log_time_.made_for != seconds()) {
    log_time_.made_for = seconds();
    const tm& t = local();
    Pen pen{log_time_.bytes};
    pen.number(t.tm_mday, 2);
    pen.text("/");
    pen.text(month_name(t.tm_mon));
    pen.text("/");
    pen.number(t.tm_year + 1900, 4);
    pen.text(":");
    pen.time(t);
    pen.text(" ");
    pen.zone(t, "");
  }
  return {log_time_.bytes, sizeof(log_time_.bytes)};
}

std::string_view Clock::iso8601() {
  if (iso8601_.made_for != seconds()) {
    iso8601_.made_for = seconds();
    const tm& t = local();
    Pen pen{iso8601_.bytes};
    pen.number(t.tm_year + 1900, 4);
    pen.text("-");
    pen.number(t.tm_mon + 1, 2);
    pen.text("-");
    pen.number(t.tm_mday, 2);
    pen.text("T");
    pen.time(t);
    pen.zone(t, ":");
  }
  return {iso8601_.bytes, sizeof(iso8601_.bytes)};
}

std::string_view Clock::error_log_time() {
  if (error_log_time_.made_for != seconds()) {
    error_log_time_.made_for = seconds();
    const tm& t = local();
    Pen pen{error_log_time_.bytes};
    pen.number(t.tm_year + 1900, 4);
    pen.text("/");
    pen.number(t.tm_mon + 1, 2);
    pen.text("/");
    pen.number(t.tm_mday, 2);
    pen.text(" ");
    pen.time(t);
  }
  return {error_log_time_.bytes, sizeof(error_log_time_.bytes)};
}

std::string_view Clock::syslog_time() {
  if (syslog_time_.made_for != seconds()) {
    syslog_time_.made_for = seconds();
    const tm& t = local();
    Pen pen{syslog_time_.bytes};
    pen.text(month_name(t.tm_mon));
    pen.text(" ");
    pen.number(t.tm_mday, 2, ' ');
    pen.text(" ");
    pen.time(t);
  }
  return {syslog_time_.bytes, sizeof(syslog_time_.bytes)};
}

std::string_view Clock::msec() {
  if (msec_.made_for != wall_ms_) {
    msec_.made_for = wall_ms_;
    Pen pen{std::to_chars(msec_.bytes, msec_.bytes + 20, wall_ms_ / 1000).ptr};
    pen.text(".");
    pen.number(static_cast<int>(wall_ms_ % 1000), 3);
    msec_size_ = static_cast<size_t>(pen.at - msec_.bytes);
  }
  return {msec_.bytes, msec_size_};
}

void format_http_date(int64_t seconds, char* to) {
  using namespace std::chrono;
  constexpr int64_t first = sys_days{year{0} / January / 1}.time_since_epoch().count() * int64_t{86400};
  constexpr int64_t behind = sys_days{year{10000} / January / 1}.time_since_epoch().count() * int64_t{86400};
  seconds = std::clamp(seconds, first, behind - 1);
  sys_seconds at{std::chrono::seconds{seconds}};
  sys_days day = floor<std::chrono::days>(at);
  year_month_day date{day};
  int in_day = static_cast<int>((at - day).count());
  tm t = {};
  t.tm_hour = in_day / 3600;
  t.tm_min = in_day / 60 % 60;
  t.tm_sec = in_day % 60;
  Pen pen{to};
  pen.text(fairlead::days.substr(weekday{day}.c_encoding() * 3, 3));
  pen.text(", ");
  pen.number(static_cast<int>(static_cast<unsigned>(date.day())), 2);
  pen.text(" ");
  pen.text(month_name(static_cast<int>(static_cast<unsigned>(date.month())) - 1));
  pen.text(" ");
  pen.number(static_cast<int>(date.year()), 4);
  pen.text(" ");
  pen.time(t);
  pen.text(" GMT");
}

std::optional<int64_t> parse_http_date(std::string_view text, int64_t now) {
  text = trim(text.substr(0, text.find(';')));
  size_t name_size = std::min(text.find_first_of(", "), text.size());
  std::string_view name = text.substr(0, name_size);
  size_t at = name.size() == 3 ? days.find(name) : std::string_view::npos;
  bool short_name = at != std::string_view::npos && at % 3 == 0;
  bool long_name = std::find(std::begin(long_days), std::end(long_days), name) != std::end(long_days);
  Reader read{text.substr(name_size)};
  bool has_dashes = long_name || (short_name && read.rest.substr(0, 5).ends_with('-'));  // in cookies the name is short
  tm t = {};
  if (has_dashes) {  // Sunday, 06-Nov-94 08:49:37 GMT
    read.text(", ");
    t.tm_mday = read.number(2);
    read.text("-");
    t.tm_mon = read.month();
    read.text("-");
    int latest = short_name ? 2069 : year_of(now) + 50;  // RFC 6265 section 5.1.1
    t.tm_year = latest - ((latest - read.number(2)) % 100 + 100) % 100;
    read.text(" ");
    read.time(t);
    read.zone();
  } else if (short_name && read.rest.starts_with(',')) {  // Sun, 06 Nov 1994 08:49:37 GMT
    read.text(", ");
    t.tm_mday = read.number(2);
    read.text(" ");
    t.tm_mon = read.month();
    read.text(" ");
    t.tm_year = read.number(4);
    read.text(" ");
    read.time(t);
    read.zone();
  } else if (short_name) {  // Sun Nov  6 08:49:37 1994
    read.text(" ");
    t.tm_mon = read.month();
    read.text(" ");
    t.tm_mday = read.number(2, true);
    read.text(" ");
    read.time(t);
    read.text(" ");
    t.tm_year = read.number(4);
  } else {
    return std::nullopt;
  }
  if (!read.good || !read.rest.empty()) return std::nullopt;
  return seconds_of(t);
}

}  // namespace fairlead
