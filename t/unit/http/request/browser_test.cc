// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/browser.h"

#include <gtest/gtest.h>

using fairlead::http::Browser;
using fairlead::http::browser_of;

TEST(Browser, MsieIsOldOrMended) {
  EXPECT_TRUE(browser_of("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)").msie6);
  EXPECT_TRUE(browser_of("Mozilla/4.0 (compatible; MSIE 5.5; Windows NT 5.1)").msie6);
  EXPECT_FALSE(browser_of("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)").msie6);
  EXPECT_FALSE(browser_of("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.0)").msie6);
  EXPECT_FALSE(browser_of("Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2)").msie6);
  EXPECT_TRUE(browser_of("Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2)").msie);
}

TEST(Browser, OperaIsNoMsie) {
  Browser opera = browser_of("Mozilla/4.0 (compatible; MSIE 6.0; X11) Opera 8.5");
  EXPECT_FALSE(opera.msie || opera.msie6 || opera.chrome || opera.safari);
}

TEST(Browser, ChromeSaysThatItIsSafari) {
  Browser chrome = browser_of("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Chrome/120.0 Safari/537");
  EXPECT_TRUE(chrome.chrome);
  EXPECT_FALSE(chrome.safari);
  EXPECT_TRUE(browser_of("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/17 Safari/605").safari);
  EXPECT_FALSE(browser_of("Mozilla/5.0 (X11; Linux) Safari/605").safari);
}

TEST(Browser, WhatIsCutOffIsNothing) {
  for (const char* text : {"", "MSIE", "MSIE ", "MSIE 6", "MSIE 6."}) EXPECT_FALSE(browser_of(text).msie6);
  EXPECT_TRUE(browser_of("MSIE 6.0").msie6);
}
