// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/shm/exposition.h"

#include <charconv>
#include <cmath>

#include "core/base/format.h"
#include "core/base/utf8.h"

namespace fairlead {
namespace {

// Both formats are UTF-8, and label values come from anywhere: a byte that is no character becomes U+FFFD.
void append_escaped(std::string_view text, bool quotes, std::string& to) {
  while (!text.empty()) {
    size_t size = utf8_character(text);
    if (size == 0) to.append("\xef\xbf\xbd");
    else if (text[0] == '\\') to.append("\\\\");
    else if (text[0] == '\n') to.append("\\n");
    else if (text[0] == '"' && quotes) to.append("\\\"");
    else to.append(text.substr(0, size));
    text.remove_prefix(size ? size : 1);
  }
}

void append_number(uint64_t number, std::string& to) {
  char digits[20];
  to.append(digits, std::to_chars(digits, digits + sizeof(digits), number).ptr);
}

void append_number(double number, std::string& to) {
  if (std::isnan(number)) {
    to.append("NaN");
  } else if (std::isinf(number)) {
    to.append(number > 0 ? "+Inf" : "-Inf");
  } else {
    char digits[32];
    to.append(format_into(digits, sizeof(digits), "{}", number));
  }
}

// OpenMetrics wants a bound to look like a float: "1.0".
void append_bound(ExpositionFormat format, double bound, std::string& to) {
  size_t before = to.size();
  append_number(bound, to);
  bool is_float = to.find_first_of(".eIN", before) != std::string::npos;
  if (format == ExpositionFormat::openmetrics && !is_float) to.append(".0");
}

class FamilyText {
 public:
  FamilyText(ExpositionFormat format, const MetricFamily& family, std::string& to) : format_(format), family_(family), to_(to) {}

  void write_head() {
    // The 0.0.4 format describes the sample's name, OpenMetrics the family's.
    bool total = format_ == ExpositionFormat::prometheus && family_.kind == MetricKind::counter;
    constexpr std::string_view kinds[] = {"counter", "gauge", "histogram"};
    if (!family_.help.empty()) {
      write_name("# HELP ", total);
      to_.push_back(' ');
      append_escaped(family_.help, format_ == ExpositionFormat::openmetrics, to_);
      to_.push_back('\n');
    }
    write_name("# TYPE ", total);
    to_.push_back(' ');
    to_.append(kinds[static_cast<size_t>(family_.kind)]);
    to_.push_back('\n');
  }

  void write_series(const SeriesSample& sample) {
    FL_ASSERT(sample.label_values.size() == family_.labels.size());
    switch (family_.kind) {
      case MetricKind::counter: write_line("_total", sample, sample.count); break;
      case MetricKind::gauge: write_line("", sample, sample.value); break;
      case MetricKind::histogram: write_histogram(sample); break;
    }
  }

 private:
  void write_name(std::string_view before, bool total) {
    to_.append(before);
    to_.append(family_.name);
    if (total) to_.append("_total");
  }

  void write_histogram(const SeriesSample& sample) {
    FL_ASSERT(sample.buckets.size() == family_.bounds.size() + 1);
    uint64_t cumulative = 0;
    for (size_t i = 0; i < sample.buckets.size(); ++i) {
      cumulative += sample.buckets[i];
      bool last = i == family_.bounds.size();
      double bound = last ? INFINITY : family_.bounds[i];
      write_line("_bucket", sample, cumulative, &bound);
    }
    write_line("_sum", sample, sample.value);
    write_line("_count", sample, sample.count);
  }

  template <class Number>
  void write_line(std::string_view suffix, const SeriesSample& sample, Number number, const double* bound = nullptr) {
    to_.append(family_.name);
    to_.append(suffix);
    char separator = '{';
    for (size_t i = 0; i < sample.label_values.size(); ++i) {
      to_.push_back(separator);
      separator = ',';
      to_.append(family_.labels[i]);
      to_.append("=\"");
      append_escaped(sample.label_values[i], true, to_);
      to_.push_back('"');
    }
    if (bound) {
      to_.push_back(separator);
      separator = ',';
      to_.append("le=\"");
      append_bound(format_, *bound, to_);
      to_.push_back('"');
    }
    if (separator == ',') to_.push_back('}');
    to_.push_back(' ');
    append_number(number, to_);
    to_.push_back('\n');
  }

  ExpositionFormat format_;
  const MetricFamily& family_;
  std::string& to_;
};

}  // namespace

std::string_view exposition_content_type(ExpositionFormat format) {
  return format == ExpositionFormat::openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                                 : "text/plain; version=0.0.4; charset=utf-8";
}

std::string_view exposition_end(ExpositionFormat format) { return format == ExpositionFormat::openmetrics ? "# EOF\n" : ""; }

void write_families(ExpositionFormat format, std::span<const FamilySamples> families, std::string& to) {
  for (const FamilySamples& each : families) {
    FamilyText text(format, *each.family, to);
    text.write_head();
    for (const SeriesSample& sample : each.series) text.write_series(sample);
  }
}

void write_families(ExpositionFormat format, std::span<const FamilySamples> families, ChainWriter& to) {
  std::string line;
  for (const FamilySamples& each : families) {
    FamilyText text(format, *each.family, line);
    text.write_head();
    for (const SeriesSample& sample : each.series) {
      text.write_series(sample);
      to.write(line);
      line.clear();
    }
    to.write(line);
    line.clear();
  }
}

}  // namespace fairlead
