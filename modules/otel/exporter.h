// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Exporter: the spans of one worker on their way to the collector. A batch is filled, then waits to be sent, one after the other; one that
// the collector cannot take now stays in its place and is sent again later. When too many wait, the collector is slow and spans are
// dropped, never held by a request. State of the worker (Worker::state<Exporter>).
#pragma once

#include <deque>
#include <string>

#include "core/shm/metric.h"
#include "event/loop/nursery.h"
#include "event/loop/sync.h"
#include "event/net/conn_pool.h"
#include "http/forward/fetch.h"
#include "modules/otel/conf.h"

namespace fairlead::http::otel {

class Exporter {
 public:
  explicit Exporter(Worker& worker);
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  // Whether `count` more spans would be sent; otherwise they are counted as dropped and must not be written.
  bool take(size_t count);
  // Where they are written, as fields `spans` of ScopeSpans; then added().
  std::string& spans() { return filling_.spans; }
  void added(size_t count);
  // Sends what there is and waits until it was taken or failed, for a bounded time.
  Task<Unit> flush();
  // Ends all work, where it is. Spans that are not through by then are counted as dropped.
  void stop();

 private:
  struct Batch {
    std::string spans;
    size_t count = 0;
    unsigned refusals = 0;  // after which it may be sent again
  };
  struct Exported {
    size_t rejected = 0;     // of the spans
    bool is_refused = false; // none of them was taken, which may be otherwise later
    const char* why = "";
  };
  struct Interval : Timer {
    explicit Interval(Exporter& of) : Timer([](Timer& t) { static_cast<Interval&>(t).exporter.send_filled(); }), exporter(of) {}
    Exporter& exporter;
  };
  struct Pause : Timer {
    explicit Pause(Exporter& of) : Timer([](Timer& t) { static_cast<Pause&>(t).exporter.begin_sending(); }), exporter(of) {}
    Exporter& exporter;
  };
  void send_filled();
  void begin_sending();
  Task<Unit> send_waiting();
  bool is_kept(Batch& batch, const Exported& exported);
  // What points to texts, its error too, does so into `arena`.
  Task<Result<Exported>> send(const Batch& batch, Arena& arena);
  Task<Result<Addr>> address();
  FetchPlan plan_for(const Addr& to, Arena& arena) const;
  Result<Exported> judge(const Fetched& reply, size_t sent) const;
  void count(std::string_view result, size_t spans);
  void note_dropped(size_t spans);
  Logger logger() const;

  Worker& worker_;
  const OtelConf& conf_;        // of the http block
  Batch filling_;
  std::deque<Batch> waiting_;   // the first may be on its way
  uint64_t dropped_ = 0;        // since the last word about it in the log
  Interval interval_;
  Pause pause_;                 // before a batch is sent again
  mutable ConnPool pool_;
  Event idle_;                  // nothing is being sent
  Nursery sending_;             // behind what its task uses
};

}  // namespace fairlead::http::otel
