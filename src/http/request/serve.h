// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// A fresh client connection: which protocol it speaks, and its life. One HttpServer per listening socket and worker.
#pragma once

#include "event/net/acceptor.h"
#include "event/worker.h"
#include "http/conf/listen.h"

namespace fairlead::http {

class HttpServer final : public ServeAccepted {
 public:
  HttpServer(Worker& worker, const ListenGroup& group) : worker_(worker), group_(group) {}
  Task<Unit> serve(Accepted accepted) override;
  Room make_room() override { return worker_.make_room(); }
  void accept_failed(const Error& error) override;

 private:
  Watch* watch_accepted(const Accepted& accepted, const ListenAddress& address);

  Worker& worker_;
  const ListenGroup& group_;
  uint64_t next_complaint_ms_ = 0;  // of accept_failed()
};

}  // namespace fairlead::http
