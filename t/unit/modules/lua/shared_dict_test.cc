// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/lua/shared_dict.h"

#include <gtest/gtest.h>

#include "core/shm/shm.h"

namespace fairlead::lua {
namespace {

class SharedDictTest : public testing::Test {
 protected:
  SharedDictTest() {
    static char owner;
    zone_ = *zones_.declare("d", 256 * 1024, &owner);
    EXPECT_TRUE(zones_.attach(nullptr));
    dict_.emplace(*zone_, 256 * 1024);
  }
  SharedDict::Stored set(std::string_view key, std::string_view text, SharedDict::Store how = {}, int64_t now = 1000) {
    return dict_->store(key, DictValue{DictType::text, false, 0, text}, how, now);
  }
  std::string get(std::string_view key, int64_t now = 1000, bool stale = false) {
    DictFound found;
    dict_->get(key, now, stale, found);
    return found.type == DictType::none ? "-" : found.text;
  }

  ZoneSet zones_;
  Zone* zone_ = nullptr;
  std::optional<SharedDict> dict_;
};

TEST_F(SharedDictTest, AnItemOfFiftyBytesFitsABlockOf128) {
  SharedDict::Store safe;
  safe.safe = true;
  int count = 0;
  while (set("key:" + std::to_string(1000 + count), std::string(50, 'x'), safe).error == DictError::none) ++count;
  EXPECT_GT(count, 1700);
  EXPECT_EQ(get("key:1000"), std::string(50, 'x'));
}

TEST_F(SharedDictTest, AValueOfAnyTypeTakesThePlaceOfOneOfAnyOther) {
  uint32_t length = 0;
  double result = 0;
  auto list = [&] {
    dict_->store("k", DictValue(), {}, 1000);
    dict_->push("k", DictValue{DictType::text, false, 0, "element"}, true, 1000, length);
  };
  auto number = [&] { dict_->store("k", DictValue{DictType::number, false, 41, {}}, {}, 1000); };
  size_t free_before = (list(), dict_->store("k", DictValue(), {}, 1000), dict_->free_space());
  for (int round = 0; round < 1000; ++round) {
    list();
    set("k", std::string(24, 't'));
    EXPECT_EQ(get("k"), std::string(24, 't'));
    number();
    EXPECT_EQ(dict_->increment("k", {.by = 1}, 1000, result).error, DictError::none);
    EXPECT_EQ(result, 42);
    set("k", "12345678");
    EXPECT_EQ(get("k"), "12345678");
    list();
    EXPECT_EQ(length, 1u);
    number();
    EXPECT_EQ(dict_->push("k", DictValue{DictType::number, false, 1, {}}, true, 1000, length), DictError::not_a_list);
  }
  dict_->store("k", DictValue(), {}, 1000);
  EXPECT_EQ(dict_->free_space(), free_before);
}

TEST_F(SharedDictTest, KeepsWhatIsStored) {
  set("a", "one");
  set("b", "");
  set("a", "longer than before");
  EXPECT_EQ(get("a"), "longer than before");
  EXPECT_EQ(get("b"), "");
  EXPECT_EQ(get("c"), "-");
  dict_->store("a", DictValue(), {}, 1000);
  EXPECT_EQ(get("a"), "-");
}

TEST_F(SharedDictTest, ExpiresToTheMillisecond) {
  SharedDict::Store how;
  how.ttl_ms = 50;
  set("a", "x", how, 1000);
  EXPECT_EQ(get("a", 1049), "x");
  EXPECT_EQ(get("a", 1050), "-");
  EXPECT_EQ(get("a", 1050, true), "x");
  EXPECT_EQ(dict_->ttl_ms("a", 1020), 30);
  EXPECT_EQ(dict_->ttl_ms("a", 1050), -1);
  EXPECT_EQ(dict_->flush_expired(0, 1050), 1u);
  EXPECT_EQ(get("a", 1050, true), "-");
}

TEST_F(SharedDictTest, MakesRoomFromTheLeastRecentlyUsed) {
  std::string big(20'000, 'x');
  for (int i = 0; i < 10; ++i) set("k" + std::to_string(i), big);
  EXPECT_EQ(get("k0"), big);  // now the newest
  bool forced = false;
  for (int i = 10; i < 14; ++i) forced = set("k" + std::to_string(i), big).forcible || forced;
  EXPECT_TRUE(forced);
  EXPECT_EQ(get("k0"), big);
  EXPECT_EQ(get("k1"), "-");
  SharedDict::Store safe;
  safe.safe = true;
  EXPECT_EQ(set("more", big, safe).error, DictError::no_memory);
  EXPECT_EQ(set("huge", std::string(1'000'000, 'x')).error, DictError::no_memory);
}

TEST_F(SharedDictTest, NamesTheLeastRecentlyUsedFirst) {
  for (const char* key : {"one", "two", "three", "four"}) set(key, "x");
  set("late", "x", {SharedDict::Mode::set, false, 1, 0});
  get("two");
  std::string packed;
  dict_->keys(3, 2000, packed);
  auto sized = [](std::string_view key) {
    auto bytes = static_cast<uint32_t>(key.size());
    return std::string(reinterpret_cast<const char*>(&bytes), sizeof bytes) + std::string(key);
  };
  EXPECT_EQ(packed, sized("one") + sized("three") + sized("four"));
}

TEST_F(SharedDictTest, NothingIsLostToFragments) {
  std::string big(3000, 'x');
  for (int i = 0; i < 2000; ++i) {
    set("k" + std::to_string(i % 50), std::string_view(big).substr(0, static_cast<size_t>(i * 37 % 3000)));
    uint32_t length = 0;
    dict_->push("list", DictValue{DictType::text, false, 0, "element"}, i % 2 == 0, 1000, length);
    DictFound found;
    if (i % 3 != 0) dict_->pop("list", i % 5 == 0, 1000, found);
  }
  dict_->flush_all();
  dict_->flush_expired(0, 1000);
  size_t free_space = dict_->free_space();
  set("once more", big);
  dict_->store("once more", DictValue(), {}, 1000);
  EXPECT_EQ(dict_->free_space(), free_space);
  EXPECT_GT(free_space, 200u * 1024);
}

TEST_F(SharedDictTest, ListsHaveTwoEnds) {
  uint32_t length = 0;
  dict_->push("l", DictValue{DictType::number, false, 1, {}}, false, 1000, length);
  dict_->push("l", DictValue{DictType::text, false, 0, "two"}, false, 1000, length);
  dict_->push("l", DictValue{DictType::number, false, 0, {}}, true, 1000, length);
  EXPECT_EQ(length, 3u);
  DictFound found;
  dict_->pop("l", false, 1000, found);
  EXPECT_EQ(found.text, "two");
  dict_->pop("l", true, 1000, found);
  EXPECT_EQ(found.number, 0);
  dict_->pop("l", true, 1000, found);
  EXPECT_EQ(found.number, 1);
  dict_->pop("l", true, 1000, found);
  EXPECT_EQ(found.type, DictType::none);
  set("t", "x");
  EXPECT_EQ(dict_->push("t", DictValue{DictType::number, false, 1, {}}, true, 1000, length), DictError::not_a_list);
}

TEST_F(SharedDictTest, CountsUpFromAnInitialValue) {
  double value = 0;
  EXPECT_EQ(dict_->increment("n", {1, std::nullopt, 0}, 1000, value).error, DictError::not_found);
  dict_->increment("n", {1, 10.0, 100}, 1000, value);
  EXPECT_EQ(value, 11);
  dict_->increment("n", {-0.5, 10.0, 100}, 1050, value);
  EXPECT_EQ(value, 10.5);
  dict_->increment("n", {1, 0.0, 0}, 1100, value);  // the first one expired
  EXPECT_EQ(value, 1);
}

}  // namespace
}  // namespace fairlead::lua
