// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_fault/fault.h"

#include <gtest/gtest.h>

#include <vector>

namespace fairlead::http::fault {
namespace {

struct Sample {
  Arena::Owner arena = Arena::open(4096);
  Headers fields{*arena};
  std::vector<uint32_t> rolled;
  Chosen chosen(const Fault& fault, bool hit = true) {
    rolled.clear();
    return choose(fault, fields, [&](uint32_t share) {
      rolled.push_back(share);
      return hit;
    });
  }
};

TEST(Fault, NothingConfiguredRollsNoDice) {
  Sample sample;
  sample.fields.add("x-envoy-fault-abort-request", "500");
  EXPECT_FALSE(sample.chosen(Fault{}).any());
  EXPECT_TRUE(sample.rolled.empty());
}

TEST(Fault, EachKindRollsItsOwnDice) {
  Sample sample;
  Fault fault{.delay = {250, 100}, .abort = {503, 200}, .grpc_abort = {14, 300}, .rate = {1000, 400}};
  Chosen chosen = sample.chosen(fault);
  EXPECT_EQ(chosen.delay_ms, 250u);
  EXPECT_EQ(chosen.status, 503);
  EXPECT_EQ(chosen.grpc_status, -1) << "one abort is enough";
  EXPECT_EQ(chosen.rate_bytes, 1000u);
  EXPECT_EQ(sample.rolled, (std::vector<uint32_t>{100, 200, 400}));
  EXPECT_FALSE(sample.chosen(fault, false).any());
  EXPECT_EQ(sample.rolled, (std::vector<uint32_t>{100, 200, 300, 400}));
}

TEST(Fault, FieldsGoBeforeTheConfigurationAndAreCapped) {
  Sample sample;
  Fault fault{.delay = {250, 100}, .rate = {1000, 400}, .headers_share = 5000, .delay_max_ms = 2000};
  sample.fields.add("X-Envoy-Fault-Delay-Request", "9000");
  sample.fields.add("x-envoy-fault-delay-request-percentage", "90");
  sample.fields.add("x-envoy-fault-abort-request", "200");
  sample.fields.add("x-envoy-fault-abort-request-percentage", "10");
  sample.fields.add("x-envoy-fault-throughput-response", "3");
  Chosen chosen = sample.chosen(fault);
  EXPECT_EQ(chosen.delay_ms, 2000u);
  EXPECT_EQ(chosen.status, 200);
  EXPECT_EQ(chosen.rate_bytes, 3u * 1024);
  EXPECT_EQ(sample.rolled, (std::vector<uint32_t>{5000, 1000, 5000}));
}

TEST(Fault, FieldsThatAreNoNumbersMeanNothing) {
  for (const char* value : {"", " 500", "0x1f4", "500 ", "99999999999999999999", "199", "600", "-500"}) {
    Sample sample;
    sample.fields.add("x-envoy-fault-abort-request", value);
    EXPECT_EQ(sample.chosen(Fault{.abort = {404, 7}, .headers_share = 10'000}).status, 404) << value;
    EXPECT_EQ(sample.rolled, std::vector<uint32_t>{7});
  }
}

}  // namespace
}  // namespace fairlead::http::fault
