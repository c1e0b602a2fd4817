// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Log lines to a syslog server, as `syslog:server=...` says it: RFC 3164 datagrams over UDP or a unix socket, sent without waiting.
// For error logs it is a LogSink; access logs use send(). A sink owns its socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/addr.h"
#include "core/base/error.h"
#include "core/base/log.h"

namespace fairlead {

struct SyslogTarget {
  Addr server;              // invalid if `server_name` is to be resolved
  std::string server_text;  // as written
  std::string server_name;
  uint16_t server_port = 514;
  uint8_t facility = 23;  // local7
  uint8_t severity = 6;   // info; not for error logs, whose lines have their own
  std::string tag = "nginx";  // as nginx has it: rules go by it
  bool with_hostname = true;
};

// `parameters`: what follows "syslog:", e.g. "server=[::1]:514,facility=local3,severity=warn,tag=edge,nohostname". The error is worded
// as nginx words it.
ConfResult<SyslogTarget> parse_syslog(std::string_view parameters);

class SyslogSink final : public LogSink {
 public:
  // `target.server` must be valid. The socket is made at the first line.
  explicit SyslogSink(SyslogTarget target);
  SyslogSink(const SyslogSink&) = delete;
  SyslogSink& operator=(const SyslogSink&) = delete;
  ~SyslogSink() override;

  // An error log line; goes with the severity of its level.
  void write(LogLevel level, std::string_view line) override;
  // `text`, without a newline, with the target's severity. Gives whether the system took it.
  bool send(std::string_view text) { return send(target_.severity, text); }
  // Datagrams the system did not take.
  uint64_t dropped() const { return dropped_; }

 private:
  bool send(unsigned severity, std::string_view text);
  bool connect();
  void report(int err, const char* call);

  SyslogTarget target_;
  std::string hostname_;
  int socket_ = -1;
  uint64_t dropped_ = 0;
  bool failing_ = false;    // the last datagram was not taken: reported once
  bool reporting_ = false;  // the report may come back here
};

}  // namespace fairlead
