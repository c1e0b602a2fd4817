// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/exposition.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cstring>
#include <map>
#include <optional>
#include <set>

namespace fairlead {
namespace {

constexpr std::string_view labels[] = {"server", "path"};
constexpr double bounds[] = {0.5, 10};
constexpr MetricFamily requests = {
    .name = "requests", .kind = MetricKind::counter, .help = "All \"requests\".\nBy C:\\.", .labels = labels};
constexpr MetricFamily active = {.name = "active", .kind = MetricKind::gauge, .help = "Now."};
constexpr MetricFamily latency = {.name = "latency_ms", .kind = MetricKind::histogram, .help = "Time.", .bounds = bounds};

std::vector<FamilySamples> three_families() {
  return {{&active, {{{}, 0, -2, {}}}},
          {&latency, {{{}, 6, 61.5, {1, 2, 3}}}},
          {&requests, {{{"a", "/"}, 7, 0, {}}, {{"quote\"", "back\\slash\nline"}, UINT64_MAX, 0, {}}}}};
}

TEST(Exposition, PrometheusTextWordForWord) {
  std::string text;
  write_families(ExpositionFormat::prometheus, three_families(), text);
  EXPECT_EQ(text,
            "# HELP active Now.\n"
            "# TYPE active gauge\n"
            "active -2\n"
            "# HELP latency_ms Time.\n"
            "# TYPE latency_ms histogram\n"
            "latency_ms_bucket{le=\"0.5\"} 1\n"
            "latency_ms_bucket{le=\"10\"} 3\n"
            "latency_ms_bucket{le=\"+Inf\"} 6\n"
            "latency_ms_sum 61.5\n"
            "latency_ms_count 6\n"
            "# HELP requests_total All \"requests\".\\nBy C:\\\\.\n"
            "# TYPE requests_total counter\n"
            "requests_total{server=\"a\",path=\"/\"} 7\n"
            "requests_total{server=\"quote\\\"\",path=\"back\\\\slash\\nline\"} 18446744073709551615\n");
  EXPECT_EQ(exposition_end(ExpositionFormat::prometheus), "");
}

TEST(Exposition, OpenMetricsTextWordForWord) {
  std::string text;
  write_families(ExpositionFormat::openmetrics, three_families(), text);
  text += exposition_end(ExpositionFormat::openmetrics);
  EXPECT_EQ(text,
            "# HELP active Now.\n"
            "# TYPE active gauge\n"
            "active -2\n"
            "# HELP latency_ms Time.\n"
            "# TYPE latency_ms histogram\n"
            "latency_ms_bucket{le=\"0.5\"} 1\n"
            "latency_ms_bucket{le=\"10.0\"} 3\n"
            "latency_ms_bucket{le=\"+Inf\"} 6\n"
            "latency_ms_sum 61.5\n"
            "latency_ms_count 6\n"
            "# HELP requests All \\\"requests\\\".\\nBy C:\\\\.\n"
            "# TYPE requests counter\n"
            "requests_total{server=\"a\",path=\"/\"} 7\n"
            "requests_total{server=\"quote\\\"\",path=\"back\\\\slash\\nline\"} 18446744073709551615\n"
            "# EOF\n");
}

TEST(Exposition, TheChainGetsTheSameBytes) {
  std::string text, from_chain;
  write_families(ExpositionFormat::openmetrics, three_families(), text);
  Chain chain;
  {
    ChainWriter writer(chain, 64);
    write_families(ExpositionFormat::openmetrics, three_families(), writer);
  }
  for (size_t i = 0; i < chain.count(); ++i) from_chain += chain[i].view();
  EXPECT_EQ(from_chain, text);
}

TEST(Exposition, OutputIsUtf8WhateverTheLabels) {
  static constexpr std::string_view label[] = {"l"};
  constexpr MetricFamily family = {.name = "f", .kind = MetricKind::counter, .labels = label};
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"h\xc3\xa9", "h\xc3\xa9"},
      {"\xf0\x9f\x99\x82", "\xf0\x9f\x99\x82"},
      {"\xff", "\xef\xbf\xbd"},
      {"a\xc3", "a\xef\xbf\xbd"},
      {"\xc3(", "\xef\xbf\xbd("},
      {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},              // overlong
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},  // a surrogate
      {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
  };
  for (auto [value, wanted] : cases) {
    std::string text;
    FamilySamples samples = {&family, {{{value}, 1, 0, {}}}};
    write_families(ExpositionFormat::prometheus, std::span(&samples, 1), text);
    EXPECT_EQ(text, "# TYPE f_total counter\nf_total{l=\"" + std::string(wanted) + "\"} 1\n");
  }
}

// A reader of OpenMetrics 1.0 (and of 0.0.4, which differs in the end and in counter names) that accepts nothing that is not in the
// format: used on what a live registry writes.
class Reader {
 public:
  explicit Reader(ExpositionFormat format) : open_(format == ExpositionFormat::openmetrics) {}

  // Empty if the text is right, else what is wrong.
  std::string read(std::string_view text) {
    bool ended = false;
    while (!text.empty()) {
      size_t end = text.find('\n');
      if (end == text.npos) return "last line without end";
      std::string_view line = text.substr(0, end);
      text.remove_prefix(end + 1);
      if (ended) return "text behind # EOF";
      if (open_ && line == "# EOF") ended = true;
      else if (std::string wrong = read_line(line); !wrong.empty()) return wrong + ": " + std::string(line);
    }
    if (open_ && !ended) return "no # EOF";
    return end_family();
  }
  std::map<std::string, double> samples;

 private:
  std::string read_line(std::string_view line) { return line.starts_with('#') ? comment(line) : sample(line); }
  static bool take(std::string_view& text, std::string_view start) {
    if (!text.starts_with(start)) return false;
    text.remove_prefix(start.size());
    return true;
  }
  static std::string take_name(std::string_view& text, bool colon) {
    auto fits = [&](char c, bool first) { return isalpha(c) || c == '_' || (colon && c == ':') || (!first && isdigit(c)); };
    size_t size = 0;
    while (size < text.size() && fits(text[size], size == 0)) ++size;
    std::string name(text.substr(0, size));
    text.remove_prefix(size);
    return name;
  }
  std::string comment(std::string_view line) {
    bool type = take(line, "# TYPE ");
    if (!type && !take(line, "# HELP ")) return "a comment that is neither HELP nor TYPE";
    std::string name = take_name(line, true);
    if (name.empty() || !take(line, " ")) return "no name";
    if (name != family_) {
      if (std::string wrong = end_family(); !wrong.empty()) return wrong;
      if (!families_.insert(name).second) return "a family in two places";
      family_ = name;
      type_.clear();
    }
    if (!type) return family_samples_ ? "HELP behind samples" : "";
    if (!type_.empty() || family_samples_) return "TYPE too late";
    type_ = line;
    if (type_ != "counter" && type_ != "gauge" && type_ != "histogram") return "unknown type";
    if (type_ == "counter" && open_ == name.ends_with("_total")) return "wrong name of a counter";
    return "";
  }
  std::string sample(std::string_view line) {
    std::string name = take_name(line, true);
    std::string series = name, le;
    if (take(line, "{")) {
      std::set<std::string> seen;
      do {
        std::string label = take_name(line, false);
        if (label.empty() || !seen.insert(label).second || !take(line, "=\"")) return "wrong label";
        std::string value;
        while (!line.empty() && line[0] != '"') {
          if (line[0] == '\\' && (line.size() < 2 || !strchr("\\\"n", line[1]))) return "wrong escape";
          size_t size = line[0] == '\\' ? 2 : 1;
          value += line.substr(0, size);
          line.remove_prefix(size);
        }
        if (!take(line, "\"")) return "no end of label";
        if (label == "le") le = value;
        else series += "|" + label + "=" + value;
      } while (take(line, ","));
      if (!take(line, "}")) return "no end of labels";
    }
    if (!take(line, " ")) return "no blank before the value";
    double value = 0;
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error != std::errc() || end != line.data() + line.size()) return "wrong value";
    ++family_samples_;
    return check(name, series, le, value);
  }
  std::string check(const std::string& name, const std::string& series, const std::string& le, double value) {
    if (type_ == "histogram") {
      if (name == family_ + "_bucket") {
        if (le.empty() || value < last_bucket_) return "buckets must grow";
        if (open_ && le.find_first_of(".eI") == le.npos) return "le is no float";
        last_bucket_ = value;
        infinite_ = le == "+Inf";
      } else if (!infinite_) {
        return "no +Inf";
      } else if (name == family_ + "_count") {
        if (value != last_bucket_) return "count is not the last bucket";
        last_bucket_ = 0;
      } else if (name != family_ + "_sum") {
        return "foreign sample";
      }
    } else if (name != family_ + (type_ == "counter" && open_ ? "_total" : "")) {
      return "foreign sample";
    }
    if (!samples.emplace(series + (le.empty() ? "" : "|le=" + le), value).second) return "a series twice";
    return "";
  }
  std::string end_family() {
    bool empty = !family_.empty() && (type_.empty() || family_samples_ == 0);
    family_samples_ = 0;
    return empty ? "family " + family_ + " without type or samples" : "";
  }

  bool open_;
  std::string family_, type_;
  std::set<std::string> families_;
  int family_samples_ = 0;
  double last_bucket_ = 0;
  bool infinite_ = false;
};

TEST(Exposition, TheReaderRefusesWhatIsWrong) {
  auto read = [](std::string_view text) { return Reader(ExpositionFormat::openmetrics).read(text); };
  EXPECT_EQ(read("# TYPE a counter\na_total 1\n# EOF\n"), "");
  for (std::string_view wrong : {"# TYPE a counter\na_total 1\n", "# TYPE a counter\na 1\n# EOF\n", "# TYPE a counter\n# EOF\n",
                                 "# TYPE a gauge\na{x=\"\\q\"} 1\n# EOF\n", "# TYPE a gauge\na 1\na 1\n# EOF\n",
                                 "# TYPE a histogram\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\n# EOF\n",
                                 "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na 2\n# EOF\n"}) {
    EXPECT_NE(read(wrong), "") << wrong;
  }
}

TEST(Exposition, ALiveRegistryIsReadBackWithItsValues) {
  ZoneSet zones;
  Metrics metrics({50, 2});
  ASSERT_TRUE(metrics.declare(zones));
  FamilyId request = *metrics.add(requests), now = *metrics.add(active);
  static constexpr std::string_view peer_label[] = {"peer"};
  FamilyId time = *metrics.add({.name = "peer_ms", .kind = MetricKind::histogram, .help = "x", .labels = peer_label});
  ASSERT_TRUE(zones.attach(nullptr));
  ASSERT_TRUE(metrics.open());
  for (int i = 0; i < 60; ++i) metrics.add(metrics.counter(request, {std::to_string(i), "/\"\\\n"}), static_cast<uint64_t>(i));
  metrics.set(metrics.gauge(now), 9);
  for (double value : {0.1, 700.0, 1e7}) metrics.observe(metrics.histogram(time, {"p"}), value);
  for (ExpositionFormat format : {ExpositionFormat::prometheus, ExpositionFormat::openmetrics}) {
    std::string text;
    write_families(format, metrics.collect(), text);
    text += exposition_end(format);
    Reader reader(format);
    ASSERT_EQ(reader.read(text), "");
    EXPECT_EQ(reader.samples["requests_total|server=7|path=/\\\"\\\\\\n"], 7);
    EXPECT_EQ(reader.samples["requests_total|server=other|path=other"], 545);  // 50 to 59
    EXPECT_EQ(reader.samples["active"], 9);
    EXPECT_EQ(reader.samples["peer_ms_count|peer=other"], 3);
    EXPECT_EQ(reader.samples["fairlead_metrics_folded_total"], 13);
  }
}

}  // namespace
}  // namespace fairlead
