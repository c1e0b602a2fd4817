// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Time per head: parsing, writing, looking up. `ns` is per operation; the arena is opened per head, as per request.
#include <benchmark/benchmark.h>

#include "http/h1/parse.h"
#include "http/h1/write.h"
#include "http/message/uri.h"

namespace fairlead::http {
namespace {

constexpr std::string_view small_request = "GET /small HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
constexpr std::string_view browser_request =
    "GET /static/img/logo.png?v=42 HTTP/1.1\r\nHost: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n"
    "Referer: https://www.example.com/index.html\r\nCookie: session=0123456789abcdef; theme=dark\r\n"
    "X-Forwarded-For: 203.0.113.7\r\nX-Trace: 4bf92f3577b34da6a3ce929d0e0e4736\r\n\r\n";
constexpr std::string_view response =
    "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
    "Content-Length: 256\r\nConnection: keep-alive\r\nETag: \"5f3a\"\r\n\r\n";

void parse_request(benchmark::State& state, std::string_view text) {
  h1::HeadRules rules;
  for (auto _ : state) {
    Arena::Owner arena = Arena::open(4096);
    RequestHead head(*arena);
    h1::RequestParser parser(head, rules);
    benchmark::DoNotOptimize(parser.parse(text));
    benchmark::DoNotOptimize(head.host);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}
BENCHMARK_CAPTURE(parse_request, two_lines, small_request);
BENCHMARK_CAPTURE(parse_request, ten_headers, browser_request);

void parse_response(benchmark::State& state) {
  for (auto _ : state) {
    Arena::Owner arena = Arena::open(4096);
    ResponseHead head(*arena);
    h1::ResponseParser parser(head);
    benchmark::DoNotOptimize(parser.parse(response));
  }
}
BENCHMARK(parse_response);

void arena_alone(benchmark::State& state) {
  for (auto _ : state) {
    Arena::Owner arena = Arena::open(4096);
    benchmark::DoNotOptimize(arena.get());
  }
}
BENCHMARK(arena_alone);

void known_header(benchmark::State& state) {
  std::string_view names[] = {"Host", "user-agent", "Accept-Encoding", "X-Trace", "Content-Length", "If-None-Match", "te", "Cookie"};
  size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(find_known_header(names[at++ & 7]));
}
BENCHMARK(known_header);

void write_response(benchmark::State& state) {
  Arena::Owner arena = Arena::open(4096);
  ResponseHead head(*arena);
  h1::ResponseParser parser(head);
  parser.parse(response);
  for (auto _ : state) {
    Chain chain;
    ChainWriter writer(chain);
    h1::write_response_head(writer, {200, {}, 1}, head.headers, {h1::Length::known, h1::ConnectionOption::keep_alive, 256});
    writer.flush();
    benchmark::DoNotOptimize(chain.size());
  }
}
BENCHMARK(write_response);

void normalise(benchmark::State& state, std::string_view target) {
  Arena::Owner arena = Arena::open(4096);
  for (auto _ : state) {
    Result<Uri> uri = normalise_uri(target, true, *arena);
    benchmark::DoNotOptimize(uri.ok());
  }
}
BENCHMARK_CAPTURE(normalise, plain, "/static/img/logo.png?v=42");

}  // namespace
}  // namespace fairlead::http
