// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/base/syslog.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "core/base/clock.h"
#include "core/base/text.h"

namespace fairlead {
namespace {

// RFC 3164 section 4.1.1; the index is the number.
constexpr std::string_view facilities[] = {"kern",     "user",   "mail",   "daemon", "auth",   "intern", "lpr",    "news",
                                           "uucp",     "clock",  "authpriv", "ftp",  "ntp",    "audit",  "alert",  "cron",
                                           "local0",   "local1", "local2", "local3", "local4", "local5", "local6", "local7"};
constexpr std::string_view severities[] = {"emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"};
constexpr size_t tag_max = 32;

template <size_t Count>
std::optional<uint8_t> index_of(const std::string_view (&names)[Count], std::string_view name) {
  const auto* found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) return std::nullopt;
  return static_cast<uint8_t>(found - std::begin(names));
}

bool is_tag_character(char c) { return is_digit(c) || c == '_' || (lower(c) >= 'a' && lower(c) <= 'z'); }

// Reads the parameters one by one and remembers which were there.
class SyslogParser {
 public:
  ConfResult<SyslogTarget> parse(std::string_view parameters) {
    Splitter parts(parameters, ',');
    std::string_view part;
    while (parts.next(part)) FL_TRY(take(part));
    if (!server_) return std::string("no syslog server specified");
    return std::move(target_);
  }

 private:
  ConfResult<> take(std::string_view part) {
    if (part.starts_with("server=")) return take_once(server_, "server", part.substr(7), &SyslogParser::take_server);
    if (part.starts_with("facility=")) return take_once(facility_, "facility", part.substr(9), &SyslogParser::take_facility);
    if (part.starts_with("severity=")) return take_once(severity_, "severity", part.substr(9), &SyslogParser::take_severity);
    if (part.starts_with("tag=")) return take_once(tag_, "tag", part.substr(4), &SyslogParser::take_tag);
    if (part == "nohostname") {
      target_.with_hostname = false;
      return Unit();
    }
    return format("unknown syslog parameter \"{}\"", part);
  }

  ConfResult<> take_once(bool& seen, const char* name, std::string_view value, ConfResult<> (SyslogParser::*take_value)(std::string_view)) {
    if (std::exchange(seen, true)) return format("duplicate syslog \"{}\"", name);
    return (this->*take_value)(value);
  }

  ConfResult<> take_server(std::string_view value) {
    ConfResult<AddrText> server = parse_addr(value, target_.server_port, AddrUse::connect);
    if (!server) return format("{} in syslog server \"{}\"", server.error(), value);
    target_.server = server->addr;
    target_.server_text = value;
    target_.server_port = server->port;
    if (server->is_name()) target_.server_name = server->host;
    return Unit();
  }

  ConfResult<> take_facility(std::string_view value) {
    std::optional<uint8_t> number = index_of(facilities, value);
    if (!number) return format("unknown syslog facility \"{}\"", value);
    target_.facility = *number;
    return Unit();
  }

  ConfResult<> take_severity(std::string_view value) {
    std::optional<uint8_t> number = index_of(severities, value);
    if (!number) return format("unknown syslog severity \"{}\"", value);
    target_.severity = *number;
    return Unit();
  }

  ConfResult<> take_tag(std::string_view value) {
    if (value.size() > tag_max) return format("syslog tag length exceeds {}", tag_max);
    if (!std::all_of(value.begin(), value.end(), is_tag_character)) {
      return std::string("syslog \"tag\" only allows alphanumeric characters and underscore");
    }
    target_.tag = value;
    return Unit();
  }

  SyslogTarget target_;
  bool server_ = false, facility_ = false, severity_ = false, tag_ = false;
};

std::string lower_hostname() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "localhost";
  std::string_view text(name);
  lower_into(name, text);
  return std::string(text);
}

}  // namespace

ConfResult<SyslogTarget> parse_syslog(std::string_view parameters) { return SyslogParser().parse(parameters); }

SyslogSink::SyslogSink(SyslogTarget target) : target_(std::move(target)), hostname_(lower_hostname()) { FL_ASSERT(target_.server.valid()); }

SyslogSink::~SyslogSink() {
  if (socket_ >= 0) close(socket_);
}

void SyslogSink::write(LogLevel level, std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  send(static_cast<unsigned>(level) - 1, line);
}

bool SyslogSink::send(unsigned severity, std::string_view text) {
  if (reporting_) return false;
  if (socket_ < 0 && !connect()) {
    ++dropped_;
    return false;
  }
  char buffer[512];
  LogText head(buffer, sizeof(buffer));
  head.append_format("<{}>{} ", target_.facility * 8u + severity, clock().syslog_time());
  if (target_.with_hostname) head.append_format("{} ", hostname_);
  head.append_format("{}: ", target_.tag);
  iovec pieces[] = {{const_cast<char*>(head.view().data()), head.view().size()}, {const_cast<char*>(text.data()), text.size()}};
  msghdr message = {};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  if (sendmsg(socket_, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
    failing_ = false;
    return true;
  }
  int err = errno;
  ++dropped_;
  if (err != EAGAIN && err != ENOBUFS) {  // a server that was restarted needs a new connection; a full queue does not
    close(socket_);
    socket_ = -1;
  }
  report(err, "send()");
  return false;
}

bool SyslogSink::connect() {
  sockaddr_storage to;
  socklen_t size = target_.server.to_sockaddr(to);
  socket_ = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) {
    report(errno, "socket()");
    return false;
  }
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to), size) == 0) return true;
  report(errno, "connect()");
  close(socket_);
  socket_ = -1;
  return false;
}

void SyslogSink::report(int err, const char* call) {
  if (std::exchange(failing_, true)) return;
  reporting_ = true;
  Logger().error(Errno{err}, "{} failed while logging to syslog, server: {}", call, target_.server_text);
  reporting_ = false;
}

}  // namespace fairlead
