// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/retry.h"

#include <gtest/gtest.h>

namespace fairlead::http {
namespace {

Outcome refused_connection() {
  Outcome outcome;
  outcome.error = Error{Fault::refused, Side::upstream, 0, "connect() failed"};
  return outcome;
}

TEST(Retry, APauseThatWouldPassTheTimeIsNotWaitedFor) {
  ForwardConf conf;
  conf.retry_backoff = {100'000, 100'000};
  conf.next_upstream_timeout = Msec{1000};
  int refused = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    Retry retry(conf, Method::get, 3, 5000);
    if (retry.again(refused_connection(), 5100, random) == Again::no) {
      EXPECT_EQ(retry.refused(), "timeout");
      EXPECT_EQ(retry.pause_ms(), 0u);
      ++refused;
    } else {
      EXPECT_LT(retry.pause_ms(), 900u);
    }
  }
  EXPECT_GE(refused, 95);  // 99 of 100 pauses are longer
}

TEST(Retry, PausesGrowAndStayBelowTheirBound) {
  ForwardConf conf;
  conf.retry_backoff = {25, 250};
  Random random(7);
  uint64_t longest[6] = {};
  for (int run = 0; run < 400; ++run) {
    Retry retry(conf, Method::get, 10, 0);
    for (uint64_t& most : longest) {
      ASSERT_EQ(retry.again(refused_connection(), 0, random), Again::next_peer);
      most = std::max(most, retry.pause_ms());
    }
  }
  const uint64_t bounds[6] = {25, 75, 175, 250, 250, 250};
  for (int i = 0; i < 6; ++i) {
    EXPECT_LT(longest[i], bounds[i]);
    EXPECT_GT(longest[i], bounds[i] * 9 / 10);
  }
}

TEST(Retry, WithoutBackoffOnlyTheTimeCounts) {
  ForwardConf conf;
  conf.next_upstream_timeout = Msec{1000};
  Random random(1);
  Retry retry(conf, Method::get, 3, 5000);
  EXPECT_EQ(retry.again(refused_connection(), 5999, random), Again::next_peer);
  EXPECT_EQ(retry.pause_ms(), 0u);
  EXPECT_EQ(retry.again(refused_connection(), 6000, random), Again::no);
  EXPECT_EQ(retry.refused(), "timeout");
}

Outcome stale() {
  Outcome outcome;
  outcome.error = Error{Fault::closed, Side::upstream, 0, "upstream prematurely closed connection"};
  outcome.connected = outcome.sent = outcome.stale = true;
  return outcome;
}

TEST(Retry, AStaleConnectionIsForgivenOnceARequest) {
  ForwardConf conf;
  Random random(1);
  Retry retry(conf, Method::get, 2, 0);
  EXPECT_EQ(retry.again(stale(), 0, random), Again::same_peer);
  EXPECT_EQ(retry.again(stale(), 0, random), Again::next_peer);
  EXPECT_TRUE(retry.is_failure(stale()));
  EXPECT_EQ(retry.again(stale(), 0, random), Again::no);
  EXPECT_TRUE(retry.is_failure(stale()));
}

TEST(Retry, WhatAPeerMayHaveReadIsSentAgainByItsMethod) {
  Random random(1);
  for (bool on : {true, false}) {
    ForwardConf conf;
    conf.stale_retry = on;
    for (bool unread : {true, false}) {
      Outcome outcome = stale();
      outcome.unread = unread;
      EXPECT_EQ(Retry(conf, Method::put, 1, 0).again(outcome, 0, random), Again::same_peer);
      Retry retry(conf, Method::post, 1, 0);
      EXPECT_EQ(retry.again(outcome, 0, random), on && unread ? Again::same_peer : Again::no);
      EXPECT_EQ(retry.refused(), on && unread ? "" : "non_idempotent");
    }
  }
}

TEST(Retry, WhatAPeerCannotDoIsAskedOfAnotherAndIsNoFailure) {
  ForwardConf conf;
  Random random(1);
  Outcome outcome;
  outcome.error = Error{Fault::unsupported, Side::upstream, 0, "no such thing"};
  Retry retry(conf, Method::get, 2, 0);
  EXPECT_EQ(retry.again(outcome, 0, random), Again::next_peer);
  EXPECT_FALSE(retry.is_failure(outcome));
  EXPECT_TRUE(retry.is_failure(refused_connection()));
  EXPECT_EQ(Retry::status_of(outcome.error), 502);
}

}  // namespace
}  // namespace fairlead::http
