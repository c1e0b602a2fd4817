// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/dns/resolver.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "event/loop/child.h"
#include "scripted_server.h"
#include "t/unit/event/loop/open_loop.h"

namespace fairlead {
namespace {

using namespace dns_test;

constexpr DnsFamilies v4_only{true, false};

// One worker with a resolver, and a name server that follows the script.
class Scene {
 public:
  explicit Scene(ScriptedServer::Script script, ResolverOptions options = {}) : server(std::move(script)) {
    loop = open_loop();
    if (options.servers.empty()) options.servers.push_back(server.address());
    auto made = Resolver::open(*loop, std::move(options));
    FL_ASSERT(made);
    resolver = std::move(*made);
  }

  using Lookup = Child<Result<DnsAnswer>>;
  void start(Lookup& lookup, const std::string& name, DnsFamilies wanted = v4_only, uint64_t timeout_ms = 5000) {
    loop->turn(0);
    lookup.start(resolver->resolve(name, wanted, loop->deadline(timeout_ms)));
  }
  void run_until_done(const Lookup& lookup) {
    for (int i = 0; i < 2000 && !lookup.is_done(); ++i) loop->turn(20);
    ASSERT_TRUE(lookup.is_done());
  }
  void run_ms(uint64_t ms) {
    loop->turn(0);
    for (uint64_t end = loop->now_ms() + ms; loop->now_ms() < end;) loop->turn(5);
  }
  // The addresses, or the error's text.
  std::string look_up(const std::string& name, DnsFamilies wanted = v4_only, uint64_t timeout_ms = 5000) {
    Lookup lookup;
    start(lookup, name, wanted, timeout_ms);
    run_until_done(lookup);
    return text(name, lookup.take());
  }
  static std::string text(const std::string& name, const Result<DnsAnswer>& answer) {
    if (!answer) return resolve_error_text(name, answer.error());
    std::string out;
    for (const Addr& each : answer->addresses) out += (out.empty() ? "" : " ") + each.host_text();
    return out;
  }

  ScriptedServer server;
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Resolver> resolver;
};

Scripted one_address(const Asked& asked, unsigned ttl_s, const std::string& ip = "10.0.0.1") {
  Scripted reply;
  if (asked.type == type_a) reply.records = {a(asked.name, ttl_s, ip)};
  return reply;
}

TEST(Resolver, CachesForTheTtl) {
  Scene scene([](const Asked& asked) { return one_address(asked, 1); });
  EXPECT_EQ(scene.look_up("one.test"), "10.0.0.1");
  EXPECT_EQ(scene.look_up("one.test"), "10.0.0.1");
  EXPECT_TRUE(scene.resolver->cached("one.test", v4_only));
  EXPECT_EQ(scene.server.asked().size(), 1u);
  scene.run_ms(1050);
  EXPECT_FALSE(scene.resolver->cached("one.test", v4_only));
  EXPECT_EQ(scene.look_up("one.test"), "10.0.0.1");
  EXPECT_EQ(scene.server.asked().size(), 2u);
}

TEST(Resolver, LooksAtNamesWithoutCaseAndLastDot) {
  Scene scene([](const Asked& asked) { return one_address(asked, 60); });
  EXPECT_EQ(scene.look_up("One.TEST"), "10.0.0.1");
  EXPECT_EQ(scene.look_up("one.test."), "10.0.0.1");
  EXPECT_EQ(scene.look_up("ONE.test"), "10.0.0.1");
  EXPECT_EQ(scene.server.asked().size(), 1u);
  EXPECT_EQ(scene.server.asked()[0].name, "one.test");
}

TEST(Resolver, DoesNotCacheAZeroTtl) {
  Scene scene([](const Asked& asked) { return one_address(asked, 0); });
  EXPECT_EQ(scene.look_up("zero.test"), "10.0.0.1");
  EXPECT_EQ(scene.look_up("zero.test"), "10.0.0.1");
  EXPECT_EQ(scene.server.asked().size(), 2u);
}

TEST(Resolver, ValidReplacesEveryTtl) {
  ResolverOptions options;
  options.valid_s = 30;
  Scene scene([](const Asked& asked) { return one_address(asked, 0); }, options);
  scene.look_up("zero.test");
  EXPECT_EQ(scene.look_up("zero.test"), "10.0.0.1");
  EXPECT_EQ(scene.server.asked().size(), 1u);
  options.valid_s = 0;
  Scene never([](const Asked& asked) { return one_address(asked, 60); }, options);
  never.look_up("long.test");
  never.look_up("long.test");
  EXPECT_EQ(never.server.asked().size(), 2u);
}

TEST(Resolver, ErrorsAreWordedAndNotCached) {
  Scene scene([](const Asked& asked) {
    Scripted reply;
    if (asked.name == "none.test") reply.rcode = rcode_nxdomain;
    if (asked.name == "fail.test") reply.rcode = rcode_servfail;
    if (asked.name == "no.test") reply.rcode = rcode_refused;
    if (asked.name == "broken.test") reply.broken = true;
    return reply;
  });
  EXPECT_EQ(scene.look_up("none.test"), "none.test could not be resolved (3: Host not found)");
  EXPECT_EQ(scene.look_up("fail.test"), "fail.test could not be resolved (2: Server failure)");
  EXPECT_EQ(scene.look_up("no.test"), "no.test could not be resolved (5: Operation refused)");
  EXPECT_EQ(scene.look_up("empty.test"), "empty.test could not be resolved (3: Host not found)");
  EXPECT_EQ(scene.look_up("broken.test"), "broken.test could not be resolved (2: Server failure)");
  size_t before = scene.server.asked().size();
  scene.look_up("none.test");
  EXPECT_EQ(scene.server.asked().size(), before + 1);
  EXPECT_EQ(scene.resolver->cached_names(), 0u);
}

TEST(Resolver, RefusesNamesThatCannotBeAsked) {
  Scene scene([](const Asked& asked) { return one_address(asked, 60); });
  for (std::string name : {std::string(), std::string("."), std::string("a b.test"), std::string(300, 'x'), std::string("a\0b", 3),
                           std::string(70, 'x') + ".test", std::string("a..b")}) {
    EXPECT_NE(scene.look_up(name).find("could not be resolved (3: Host not found)"), std::string::npos) << name;
  }
  EXPECT_TRUE(scene.server.asked().empty());
  EXPECT_EQ(scene.look_up("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(scene.look_up("2001:db8::1"), "2001:db8::1");
}

TEST(Resolver, FollowsAliasesInOneAnswerAndAcrossAnswers) {
  Scene scene([](const Asked& asked) {
    Scripted reply;
    if (asked.name == "www.test") reply.records = {cname("www.test", 1, "edge.test"), a("edge.test", 60, "10.0.0.2")};
    if (asked.name == "far.test") reply.records = {cname("far.test", 60, "hop.test"), cname("hop.test", 60, "last.test")};
    if (asked.name == "last.test") reply.records = {a("last.test", 60, "10.0.0.3")};
    if (asked.name == "circle.test") reply.records = {cname("circle.test", 60, "round.test")};
    if (asked.name == "round.test") reply.records = {cname("round.test", 60, "circle.test")};
    if (asked.name == "self.test") reply.records = {cname("self.test", 60, "self.test")};
    return reply;
  });
  EXPECT_EQ(scene.look_up("www.test"), "10.0.0.2");
  EXPECT_EQ(scene.look_up("far.test"), "10.0.0.3");
  EXPECT_EQ(scene.look_up("circle.test"), "circle.test could not be resolved (2: Server failure)");
  EXPECT_EQ(scene.look_up("self.test"), "self.test could not be resolved (3: Host not found)");
  // The alias' shorter TTL counts.
  scene.run_ms(1050);
  EXPECT_FALSE(scene.resolver->cached("www.test", v4_only));
  EXPECT_TRUE(scene.resolver->cached("far.test", v4_only));
}

TEST(Resolver, AsksBothFamiliesAndTakesWhatThereIs) {
  Scene scene([](const Asked& asked) {
    Scripted reply;
    if (asked.name == "both.test" || asked.name == "four.test") {
      if (asked.type == type_a) reply.records = {a(asked.name, 60, "10.0.0.1")};
    }
    if (asked.name == "both.test" || asked.name == "six.test") {
      if (asked.type == type_aaaa) reply.records = {aaaa(asked.name, 60, "2001:db8::1")};
    }
    if (asked.name == "half.test") {
      if (asked.type == type_a) reply.rcode = rcode_servfail;
      if (asked.type == type_aaaa) reply.records = {aaaa(asked.name, 60, "2001:db8::2")};
    }
    if (asked.name == "mute.test") {
      if (asked.type == type_a) reply.records = {a(asked.name, 60, "10.0.0.9")};
      reply.silent = asked.type == type_aaaa;
    }
    return reply;
  }, [] { ResolverOptions options; options.try_timeout_ms = 1000; return options; }());
  EXPECT_EQ(scene.look_up("both.test", {}), "10.0.0.1 2001:db8::1");
  EXPECT_EQ(scene.look_up("four.test", {}), "10.0.0.1");
  EXPECT_EQ(scene.look_up("six.test", {}), "2001:db8::1");
  EXPECT_EQ(scene.look_up("half.test", {}), "2001:db8::2");
  // A server that drops AAAA questions costs one round, not the answer.
  EXPECT_EQ(scene.look_up("mute.test", {}), "10.0.0.9");
  // What failed is not known to be absent: the answer says so, and does not hold for the TTL of the other family.
  auto seconds_left = [&](const char* name) { return (scene.resolver->cached(name)->expires_ms - scene.loop->now_ms()) / 1000; };
  EXPECT_GE(seconds_left("four.test"), 30u);
  for (const char* name : {"half.test", "mute.test"}) {
    EXPECT_LE(seconds_left(name), 10u) << name;
    EXPECT_NE(scene.resolver->cached(name)->failed.ipv4, scene.resolver->cached(name)->failed.ipv6) << name;
  }
  EXPECT_FALSE(scene.resolver->cached("four.test")->failed.ipv6);
}

TEST(Resolver, AFamilyThatFailedIsAskedForWhileTheOtherIsGivenOut) {
  ResolverOptions options;
  options.try_timeout_ms = 300;
  options.renew_after_ms = 200;
  auto silent = std::make_shared<std::atomic<bool>>(true);
  Scene scene([silent](const Asked& asked) {
    Scripted reply = one_address(asked, 60);
    if (asked.type == type_aaaa) reply.records = {aaaa(asked.name, 60, "2001:db8::1")};
    reply.silent = asked.type == type_aaaa && *silent;
    return reply;
  }, options);
  EXPECT_EQ(scene.look_up("half.test", {}), "10.0.0.1");
  // Each time one question at a time, for which nobody waits and which takes nothing when it fails.
  for (size_t asked = 2; asked <= 4; ++asked) {
    *silent = asked < 4;
    scene.run_ms(250);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(scene.resolver->cached("half.test"));
    EXPECT_EQ(scene.resolver->in_flight(), 1u);
    for (int i = 0; i < 200 && scene.resolver->in_flight() != 0; ++i) scene.loop->turn(20);
    EXPECT_EQ(scene.server.count(type_aaaa), asked);
    EXPECT_EQ(scene.resolver->cached("half.test")->addresses.size(), *silent ? 1u : 2u);
  }
  EXPECT_FALSE(scene.resolver->cached("half.test")->failed.ipv6);
  EXPECT_GT(scene.resolver->cached("half.test")->expires_ms, scene.loop->now_ms() + 30'000);
  EXPECT_EQ(scene.server.count(type_a), 1u);
}

TEST(Resolver, AtTheDeadlineTheFamilyThatIsThereWillDo) {
  Scene scene([](const Asked& asked) {
    Scripted reply = one_address(asked, 60);
    reply.silent = asked.type == type_aaaa;
    return reply;
  });
  EXPECT_EQ(scene.look_up("half.test", {}, 300), "10.0.0.1");
  EXPECT_EQ(scene.look_up("half.test", {false, true}, 300), "half.test could not be resolved (110: Operation timed out)");
}

TEST(Resolver, AFamilyThatIsOffIsNeverAsked) {
  ResolverOptions options;
  options.families = {true, false};
  Scene scene([](const Asked& asked) { return one_address(asked, 60); }, options);
  EXPECT_EQ(scene.look_up("one.test", {}), "10.0.0.1");
  EXPECT_EQ(scene.server.count(type_aaaa), 0u);
  EXPECT_EQ(scene.look_up("one.test", {false, true}), "one.test could not be resolved (3: Host not found)");
}

TEST(Resolver, EachLookupBeginsWithAnotherAddress) {
  Scene scene([](const Asked& asked) {
    Scripted reply;
    reply.records = {a(asked.name, 60, "10.0.0.1"), a(asked.name, 60, "10.0.0.2"), a(asked.name, 60, "10.0.0.3")};
    return reply;
  });
  EXPECT_EQ(scene.look_up("three.test"), "10.0.0.1 10.0.0.2 10.0.0.3");
  EXPECT_EQ(scene.look_up("three.test"), "10.0.0.2 10.0.0.3 10.0.0.1");
  EXPECT_EQ(scene.look_up("three.test"), "10.0.0.3 10.0.0.1 10.0.0.2");
  EXPECT_EQ(scene.look_up("three.test"), "10.0.0.1 10.0.0.2 10.0.0.3");
}

TEST(Resolver, GoesToTcpAfterATruncatedReply) {
  Scene scene([](const Asked& asked) {
    Scripted reply;
    reply.truncated = !asked.by_tcp;
    for (int i = 1; i <= 60 && asked.by_tcp; ++i) reply.records.push_back(a(asked.name, 60, "10.0.1." + std::to_string(i)));
    return reply;
  });
  std::string found = scene.look_up("many.test");
  EXPECT_EQ(std::count(found.begin(), found.end(), ' '), 59);
  ASSERT_EQ(scene.server.asked().size(), 2u);
  EXPECT_TRUE(scene.server.asked()[1].by_tcp);
}

TEST(Resolver, GoesToTcpForADatagramOfMoreThan512Bytes) {
  Scene scene([](const Asked& asked) {
    Scripted reply;
    for (int i = 1; i <= 60; ++i) reply.records.push_back(a(asked.name, 60, "10.0.1." + std::to_string(i)));
    return reply;
  });
  std::string found = scene.look_up("many.test");
  EXPECT_EQ(std::count(found.begin(), found.end(), ' '), 59);
}

Scripted truncated_if_many(const Asked& asked) {
  Scripted reply = one_address(asked, 0);
  reply.truncated = asked.name == "many.test" && !asked.by_tcp;
  reply.silent = asked.name == "lost.test";
  return reply;
}

TEST(Resolver, WhereTcpIsRefusedOnlyTheTruncatedReplyIsHadElsewhere) {
  ScriptedServer no_tcp(truncated_if_many, ScriptedServer::Tcp::refuses), good(truncated_if_many);
  ResolverOptions options;
  options.servers = {no_tcp.address(), good.address()};
  options.try_timeout_ms = 60'000;
  Scene scene(truncated_if_many, options);
  Scene::Lookup lost;
  scene.start(lost, "lost.test", v4_only, 60'000);
  EXPECT_EQ(scene.look_up("other.test"), "10.0.0.1");  // of the second one: the first one's turn is next
  EXPECT_EQ(scene.look_up("many.test"), "10.0.0.1");
  EXPECT_TRUE(good.asked().back().by_tcp);
  for (const Asked& each : good.asked()) EXPECT_NE(each.name, "lost.test");
  size_t before = no_tcp.asked().size();
  EXPECT_EQ(before, 2u);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(scene.look_up("other.test"), "10.0.0.1");
  EXPECT_EQ(no_tcp.asked().size(), before + 1);  // it does not rest as one that is silent
}

TEST(Resolver, WhereTcpIsRefusedOthersAreAnsweredMeanwhile) {
  ScriptedServer no_tcp(truncated_if_many, ScriptedServer::Tcp::refuses);
  ResolverOptions options;
  options.servers = {no_tcp.address()};
  options.try_timeout_ms = 100;
  Scene scene(truncated_if_many, options);
  Scene::Lookup many;
  scene.start(many, "many.test", v4_only, 1000);
  EXPECT_EQ(scene.look_up("other.test", {}), "10.0.0.1");
  scene.run_until_done(many);
  EXPECT_EQ(Scene::text("many.test", many.take()), "many.test could not be resolved (110: Operation timed out)");
  EXPECT_GE(no_tcp.asked().size(), 4u);  // again, after pauses
}

TEST(Resolver, AsksOnceForAllWhoWait) {
  Scene scene([](const Asked& asked) {
    Scripted reply = one_address(asked, 0);
    reply.delay_ms = 300;
    return reply;
  });
  Scene::Lookup first, second, third;
  scene.start(first, "one.test");
  scene.start(second, "ONE.test");
  scene.start(third, "other.test");
  EXPECT_EQ(scene.resolver->waiting(), 3u);
  EXPECT_EQ(scene.resolver->in_flight(), 2u);
  for (auto* lookup : {&first, &second, &third}) scene.run_until_done(*lookup);
  EXPECT_EQ(Scene::text("", first.take()), "10.0.0.1");
  EXPECT_EQ(Scene::text("", second.take()), "10.0.0.1");
  EXPECT_EQ(scene.server.asked().size(), 2u);
  EXPECT_EQ(scene.resolver->waiting(), 0u);
  EXPECT_EQ(scene.resolver->in_flight(), 0u);
}

TEST(Resolver, TimesOutAtTheDeadlineAndAsksAgainMeanwhile) {
  ResolverOptions options;
  options.try_timeout_ms = 100;
  Scene scene([](const Asked&) {
    Scripted reply;
    reply.silent = true;
    return reply;
  }, options);
  EXPECT_EQ(scene.look_up("lost.test", v4_only, 1500), "lost.test could not be resolved (110: Operation timed out)");
  EXPECT_GE(scene.server.asked().size(), 3u);
  // Nobody waits: the question ends by itself.
  for (int i = 0; i < 500 && scene.resolver->in_flight() != 0; ++i) scene.loop->turn(20);
  EXPECT_EQ(scene.resolver->in_flight(), 0u);
}

TEST(Resolver, AReplyToALaterTryIsAsGood) {
  ResolverOptions options;
  options.try_timeout_ms = 100;
  auto tries = std::make_shared<std::atomic<int>>(0);
  Scene scene([tries](const Asked& asked) {
    Scripted reply = one_address(asked, 60);
    reply.silent = ++*tries < 3;
    return reply;
  }, options);
  EXPECT_EQ(scene.look_up("late.test"), "10.0.0.1");
}

TEST(Resolver, AsksTheNextServerIfOneIsSilentOrFails) {
  ScriptedServer good([](const Asked& asked) { return one_address(asked, 0, "10.9.9.9"); });
  for (bool silent : {true, false}) {
    ScriptedServer bad([silent](const Asked&) {
      Scripted reply;
      reply.silent = silent;
      reply.rcode = rcode_servfail;
      return reply;
    });
    ResolverOptions options;
    options.servers = {bad.address(), good.address()};
    options.try_timeout_ms = 1000;
    Scene scene([](const Asked&) { return Scripted(); }, options);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(scene.look_up("some.test"), "10.9.9.9");
    // In turns: the bad one is asked first every other time, and not for a while after it was silent.
    EXPECT_EQ(bad.asked().size(), silent ? 1u : 2u);
  }
}

TEST(Resolver, BothFamiliesAreAskedOfTheSameServer) {
  auto answer = [](const Asked& asked) { return one_address(asked, 0); };
  ScriptedServer one(answer), two(answer);
  ResolverOptions options;
  options.servers = {one.address(), two.address()};
  Scene scene([](const Asked&) { return Scripted(); }, options);
  for (size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(scene.look_up("some.test", {}), "10.0.0.1");
    for (int type : {type_a, type_aaaa}) {
      EXPECT_EQ(one.count(type), (i + 1) / 2);
      EXPECT_EQ(two.count(type), i / 2);
    }
  }
}

TEST(Resolver, OneOfTwoServersThatIsGoneDelaysOneLookup) {
  ScriptedServer bad([](const Asked&) { return Scripted{.silent = true}; });
  ScriptedServer good([](const Asked& asked) { return one_address(asked, 0); });
  ResolverOptions options;
  options.servers = {good.address(), bad.address()};
  options.try_timeout_ms = 300;
  Scene scene([](const Asked&) { return Scripted(); }, options);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(scene.look_up("some.test", {}), "10.0.0.1");
  EXPECT_EQ(bad.asked().size(), 2u);  // A and AAAA of the second lookup
}

Addr address_without_server() {
  ScriptedServer gone([](const Asked&) { return Scripted(); });
  return gone.address();
}

TEST(Resolver, WhereNobodyListensNeitherFamilyIsWaitedFor) {
  ScriptedServer good([](const Asked& asked) { return one_address(asked, 0); });
  ResolverOptions options;
  options.servers = {address_without_server(), good.address()};
  options.try_timeout_ms = 60'000;
  Scene scene([](const Asked&) { return Scripted(); }, options);
  Scene::Lookup others[3];
  for (Scene::Lookup& other : others) scene.start(other, "same.test", {});
  EXPECT_EQ(scene.look_up("some.test", {}), "10.0.0.1");
  for (Scene::Lookup& other : others) {
    scene.run_until_done(other);
    EXPECT_EQ(Scene::text("same.test", other.take()), "10.0.0.1");
  }
}

TEST(Resolver, KeepsAskingAServerThatIsNotThereYet) {
  ResolverOptions options;
  options.servers = {address_without_server()};
  options.try_timeout_ms = 100;
  Scene scene([](const Asked&) { return Scripted(); }, options);
  EXPECT_EQ(scene.look_up("lost.test", v4_only, 350), "lost.test could not be resolved (110: Operation timed out)");
}

TEST(Resolver, AWaiterThatGoesLeavesTheQuestionToTheCache) {
  Scene scene([](const Asked& asked) {
    Scripted reply = one_address(asked, 60);
    reply.delay_ms = 1500;
    return reply;
  });
  {
    Scene::Lookup lookup;
    scene.start(lookup, "one.test");
    scene.run_ms(10);
    EXPECT_EQ(scene.resolver->waiting(), 1u);
  }
  EXPECT_EQ(scene.resolver->waiting(), 0u);
  EXPECT_EQ(scene.resolver->in_flight(), 1u);
  Scene::Lookup stays;
  {
    Scene::Lookup goes;
    scene.start(goes, "one.test");
    scene.start(stays, "one.test");
  }
  scene.run_until_done(stays);
  EXPECT_EQ(Scene::text("", stays.take()), "10.0.0.1");
  EXPECT_TRUE(scene.resolver->cached("one.test", v4_only));
  EXPECT_EQ(scene.server.asked().size(), 1u);
}

TEST(Resolver, WaitersOutliveTheResolver) {
  Scene scene([](const Asked&) {
    Scripted reply;
    reply.silent = true;
    return reply;
  });
  Scene::Lookup first, second;
  scene.start(first, "one.test", {});
  scene.start(second, "two.test", {});
  scene.run_ms(5);
  scene.resolver.reset();
  second.cancel();
  scene.run_until_done(first);
  auto result = first.take();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().fault, Fault::canceled);
}

TEST(Resolver, HoldsItsLimits) {
  ResolverOptions options;
  options.names_max = 2;
  options.records_max = 12;
  options.waiting_max = 2;
  Scene scene([](const Asked& asked) {
    Scripted reply;
    int count = asked.name == "large.test" ? 10 : asked.name == "huge.test" ? 13 : 5;
    for (int i = 1; i <= count; ++i) reply.records.push_back(a(asked.name, 60, "10.0.0." + std::to_string(i)));
    reply.silent = asked.name == "slow.test";
    return reply;
  }, options);
  EXPECT_EQ(scene.look_up("a.test"), "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5");
  scene.look_up("b.test");
  EXPECT_TRUE(scene.resolver->cached("a.test", v4_only));
  scene.look_up("c.test");
  EXPECT_EQ(scene.resolver->cached_names(), 2u);
  EXPECT_TRUE(scene.resolver->cached("a.test", v4_only));
  EXPECT_FALSE(scene.resolver->cached("b.test", v4_only));
  scene.look_up("large.test");  // no other has room beside it
  EXPECT_TRUE(scene.resolver->cached("large.test", v4_only));
  EXPECT_EQ(scene.resolver->cached_names(), 1u);
  EXPECT_EQ(scene.look_up("huge.test").size(), std::string("10.0.0.1 ").size() * 13 + 3);
  EXPECT_EQ(scene.resolver->cached_names(), 0u);
  Scene::Lookup first, second, third;
  scene.start(first, "slow.test");
  scene.start(second, "slow.test");
  scene.start(third, "slow.test");
  ASSERT_TRUE(third.is_done());
  auto refused = third.take();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::exhausted);
}

TEST(Resolver, TheSystemsOneReadsTheHostsFile) {
  auto loop = Loop::open();
  ASSERT_TRUE(loop);
  auto resolver = Resolver::open(**loop, ResolverOptions());
  ASSERT_TRUE(resolver);
  Scene::Lookup lookup;
  lookup.start((*resolver)->resolve("localhost", v4_only, (*loop)->deadline(2000)));
  for (int i = 0; i < 200 && !lookup.is_done(); ++i) (*loop)->turn(20);
  ASSERT_TRUE(lookup.is_done());
  EXPECT_EQ(Scene::text("localhost", lookup.take()), "127.0.0.1");
}

TEST(Resolver, AsksForServicesBesideAddresses) {
  Scene scene([](const Asked& asked) {
    Scripted reply = one_address(asked, 60);
    if (asked.type == type_srv && asked.name == "_s._tcp.x.test") reply.records = {cname(asked.name, 60, "far.test")};
    if (asked.type == type_srv && asked.name == "far.test") reply.records = {srv(asked.name, 60, {1, 2, 3}, "t.test")};
    return reply;
  });
  for (int round = 0; round < 2; ++round) {
    Child<Result<DnsServices>> lookup;
    scene.loop->turn(0);
    lookup.start(scene.resolver->resolve_service("_s._tcp.X.test.", scene.loop->deadline(5000)));
    for (int i = 0; i < 2000 && !lookup.is_done(); ++i) scene.loop->turn(20);
    auto answer = lookup.take();
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->services.size(), 1u);
    EXPECT_EQ(answer->services[0].target, "t.test");
    EXPECT_EQ(answer->services[0].port, 3u);
    EXPECT_GT(answer->expires_ms, scene.loop->now_ms() + 50'000);
  }
  EXPECT_EQ(scene.server.asked().size(), 2u);  // with its alias, and once
  EXPECT_EQ(scene.look_up("_s._tcp.x.test"), "10.0.0.1");
  Child<Result<DnsServices>> lookup;
  scene.loop->turn(0);
  lookup.start(scene.resolver->resolve_service("none.test", scene.loop->deadline(5000)));
  for (int i = 0; i < 2000 && !lookup.is_done(); ++i) scene.loop->turn(20);
  auto none = lookup.take();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().sys, dns_not_found);
}

}  // namespace
}  // namespace fairlead
