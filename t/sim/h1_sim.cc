// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// h1::serve over a memory transport against a client that pipelines at random: split, delayed, half-closed, reset.
// Every complete request gets
// exactly one well-formed answer, in order, with its body; nothing hangs and nothing is left behind.
#include <algorithm>
#include <charconv>
#include <vector>

#include "event/net/memory.h"
#include "event/worker.h"
#include "http/conf/listen.h"
#include "http/h1/server.h"
#include "t/sim/scene.h"

using namespace fairlead;
using namespace fairlead::http;
using namespace fairlead::sim;

namespace {

constexpr uint64_t limit_ms = 600'000;

struct Planned {
  std::string bytes;
  std::string answer_body;
  bool closes = false;  // no request behind it is answered
};

// Answers "/ID/DELAY/BYTES": after DELAY ms the request's body, or BYTES of the pattern if it has none. If 3 divides
// ID the answer is of unknown
// length; if 4 does the request's body is not read, but the same bytes are made.
struct EchoSink final : RequestSink {
  EchoSink(World& w, Worker& worker) : world(w), client_facts{worker, worker.generation(), listen} {}
  ClientFacts& facts() override { return client_facts; }
  void idle(bool) override {}
  bool is_draining() const override { return false; }
  bool begin(Request& request, Verdict&, Task<Verdict>& rest) override {
    rest = answer(request);
    return false;
  }
  bool refuse(Request& request, const HeadFault& error, Verdict&, Task<Verdict>& rest) override {
    world.note("server: refused {}", error.what);
    rest = answer_refused(request);
    return false;
  }
  Task<Verdict> answer(Request& request) {
    uint64_t numbers[3] = {};
    parse_target(request.head.target, numbers);
    world.note("server: request {}", request.head.target);
    if (numbers[1] > 0) co_await Sleep(request.loop(), numbers[1]);
    Outgoing& out = request.response;
    out.head.status = 200;
    if (request.head.has_body() && numbers[0] % 4 != 0) {
      out.body = &request.exchange.request_body();
      out.head.framing.content_length = request.head.framing.content_length;
    } else {
      out.body = request.arena().make<BytesBody>(Slice::copy_of(pattern(numbers[0], numbers[2])));
      out.head.framing.content_length = static_cast<int64_t>(numbers[2]);
    }
    if (numbers[0] % 3 == 0) out.head.framing.content_length = no_length;
    auto sent = co_await respond(request.exchange, out);
    if (!sent) request.client().mark_broken();
    world.note("server: answered {} {}", numbers[0], sent ? "whole" : sent.error().what);
    co_return Verdict::done();
  }
  Task<Verdict> answer_refused(Request& request) {
    Outgoing& out = request.response;
    out.head.status = 400;
    out.head.framing.content_length = 0;
    out.body = request.arena().make<EmptyBody>();
    auto sent = co_await respond(request.exchange, out);
    if (!sent) request.client().mark_broken();
    co_return Verdict::done();
  }
  static void parse_target(std::string_view target, uint64_t (&numbers)[3]) {
    const char* at = target.data();
    const char* end = at + target.size();
    for (uint64_t& number : numbers)
      if (at < end) at = std::from_chars(at + 1, end, number).ptr;
  }
  World& world;
  ListenAddress listen;
  ClientFacts client_facts;
};

Planned plan_request(Random& random, uint64_t id, bool last) {
  Planned planned;
  bool old = random.one_in(8), has_body = random.one_in(2);
  uint64_t delay = random.one_in(3) ? random.below(50) : 0;
  uint64_t bytes = random.one_in(6) ? random.below(100'000) : random.below(600);
  planned.answer_body = pattern(id, bytes);
  planned.closes = last && random.one_in(3);
  std::string head = format("{} /{}/{}/{} HTTP/1.{}\r\nHost: sim\r\n", has_body ? "POST" : "GET", id, delay, bytes, old ? 0 : 1);
  if (planned.closes) head += old ? "" : "Connection: close\r\n";
  else if (old) head += "Connection: keep-alive\r\n";
  if (old && id % 3 == 0) planned.closes = true;  // no length and no chunks: the end of the connection is the end of the body
  if (random.one_in(10)) head += format("X-Filler: {}\r\n", pattern(id, random.below(3000)));
  if (!has_body || bytes == 0) {
    planned.bytes = head + (has_body ? "Content-Length: 0\r\n\r\n" : "\r\n");
  } else if (!old && random.one_in(2)) {
    if (random.one_in(3)) head += "Expect: 100-continue\r\n";
    planned.bytes = head + "Transfer-Encoding: chunked\r\n\r\n" + chunked(random, planned.answer_body);
  } else {
    planned.bytes = head + format("Content-Length: {}\r\n\r\n", bytes) + planned.answer_body;
  }
  if (has_body && bytes == 0) planned.answer_body.clear();
  return planned;
}

// Reads answers in the simplest possible way, on its own: the product's parsers are what is tested.
class AnswerReader {
 public:
  struct Answer {
    unsigned status = 0;
    std::string body;
    bool is_whole = false;
  };
  // All answers in `text`; `ended`: nothing more comes. Interim ones are skipped. Gives what is wrong, or nothing.
  std::string read(std::string_view text, bool ended, std::vector<Answer>& answers) {
    while (!text.empty()) {
      size_t head_end = text.find("\r\n\r\n");
      if (head_end == std::string_view::npos) break;
      std::string_view head = text.substr(0, head_end + 2);
      text.remove_prefix(head_end + 4);
      if (head.substr(0, 9) != "HTTP/1.1 ") return "no status line: " + std::string(head.substr(0, 40));
      Answer answer;
      std::from_chars(head.data() + 9, head.data() + 12, answer.status);
      if (answer.status < 200) continue;
      std::string wrong = read_body(head, text, ended, answer);
      if (!wrong.empty()) return wrong;
      answers.push_back(std::move(answer));
      if (!answers.back().is_whole) break;
    }
    return {};
  }

 private:
  static std::string_view field(std::string_view head, std::string_view name) {
    size_t at = head.find(format("\r\n{}: ", name));
    if (at == std::string_view::npos) return {};
    std::string_view rest = head.substr(at + name.size() + 4);
    return rest.substr(0, rest.find("\r\n"));
  }
  static std::string read_body(std::string_view head, std::string_view& text, bool ended, Answer& answer) {
    std::string_view length = field(head, "Content-Length"), coding = field(head, "Transfer-Encoding");
    if (!length.empty() && !coding.empty()) return "two framings";
    if (!coding.empty()) return read_chunks(text, answer);
    if (length.empty()) {
      answer.body = std::string(text);
      answer.is_whole = ended;
      text = {};
      return {};
    }
    size_t bytes = 0;
    std::from_chars(length.data(), length.data() + length.size(), bytes);
    answer.body = std::string(text.substr(0, bytes));
    answer.is_whole = text.size() >= bytes;
    text.remove_prefix(std::min(bytes, text.size()));
    return {};
  }
  static std::string read_chunks(std::string_view& text, Answer& answer) {
    for (;;) {
      size_t line_end = text.find("\r\n");
      if (line_end == std::string_view::npos) return {};
      size_t bytes = 0;
      auto parsed = std::from_chars(text.data(), text.data() + line_end, bytes, 16);
      if (parsed.ptr != text.data() + line_end) return "bad chunk size: " + std::string(text.substr(0, line_end));
      if (bytes == 0) {
        size_t trailers_end = text.substr(line_end).find("\r\n\r\n");
        if (trailers_end == std::string_view::npos) return {};
        text.remove_prefix(line_end + trailers_end + 4);
        answer.is_whole = true;
        return {};
      }
      if (text.size() < line_end + 2 + bytes + 2) {
        answer.body += text.substr(line_end + 2, bytes);
        return {};
      }
      answer.body += text.substr(line_end + 2, bytes);
      if (text.substr(line_end + 2 + bytes, 2) != "\r\n") return "chunk without its end";
      text.remove_prefix(line_end + 2 + bytes + 2);
    }
  }
};

enum class Ending { wait, half_close, cut_short, reset };
constexpr const char* ending_names[] = {"waits", "half-closes", "half-closes in the middle", "resets"};

// The whole of one seed. The parts of the client are its tasks.
class Simulation {
 public:
  explicit Simulation(uint64_t seed)
      : random_(seed),
        to_server_(random_, random_.one_in(5)),
        to_client_(random_, random_.one_in(5)),
        worker_(world_.loop(), empty_generation(), row_),
        nursery_(world_.loop()),
        sink_(world_, worker_) {}

  Outcome run(uint64_t seed) {
    plan();
    size_t buffer = random_.one_in(3) ? random_.between(100, 3000) : 65536;
    MemoryPair pair = MemoryPair::make(world_.loop(), &to_client_, &to_server_, buffer);
    const char* ending = ending_names[static_cast<int>(ending_)];
    world_.note("seed {}: {} requests, {} bytes, client {}", seed, planned_.size(), stream_.size(), ending);
    client_ = std::move(pair.b);
    nursery_.spawn(serve(std::move(pair.a)));
    nursery_.spawn(write_requests());
    nursery_.spawn(read_answers());
    world_.run(nursery_, limit_ms);
    if (world_.outcome.failure.empty()) {
      if (world_.loop().watch_count() != 0) world_.fail("a watch is left");
      else if (world_.loop().timers().next_ms() != TimerWheel::never) world_.fail("a timer is left");
      else check_answers();
    }
    nursery_.cancel();
    client_.reset();
    return std::move(world_.outcome);
  }

 private:
  void plan() {
    uint64_t count = random_.between(1, 8);
    for (uint64_t id = 1; id <= count; ++id) {
      planned_.push_back(plan_request(random_, id, id == count));
      stream_ += planned_.back().bytes;
      if (planned_.back().closes) break;
    }
    ending_ = static_cast<Ending>(random_.below(4));
    sent_bytes_max_ = stream_.size();
    if (ending_ == Ending::cut_short || ending_ == Ending::reset) sent_bytes_max_ = random_.between(1, stream_.size());
  }

  Task<Unit> serve(std::unique_ptr<MemoryTransport> transport) {
    h1::ServerRules rules;
    rules.head.head_bytes_max = 16 * 1024;
    Connection connection(*transport, Side::client);
    co_await h1::serve(connection, rules, sink_);
    world_.note("server: connection ends");
    co_return Unit();
  }

  Task<Unit> write_requests() {
    size_t at = 0;
    while (at < sent_bytes_max_ && !client_gone_) {
      size_t bytes = random_.between(1, std::min<size_t>(sent_bytes_max_ - at, random_.one_in(4) ? 10 : 20'000));
      iovec piece{stream_.data() + at, bytes};
      IoResult written = client_->write(&piece, 1);
      if (written.status == IoStatus::failed) {
        world_.note("client: write failed {}", written.sys);
        break;
      }
      at += written.bytes;
      written_ = at;
      if (written.bytes > 0) world_.note("client: wrote {}", written.bytes);
      if (random_.one_in(4)) co_await Sleep(world_.loop(), random_.below(100));
      if (client_gone_) break;
      if (!client_->watch().is_ready(Direction::write)) co_await IoWait(client_->watch(), Direction::write, 0);
    }
    if (!client_gone_) end_writing();
    writer_done_ = true;
    close_client();
    co_return Unit();
  }

  void end_writing() {
    if (ending_ == Ending::half_close || ending_ == Ending::cut_short) client_->shutdown_write();
    if (ending_ == Ending::reset) client_->reset();
    if (ending_ != Ending::wait) world_.note("client: {}", ending_names[static_cast<int>(ending_)]);
  }

  Task<Unit> read_answers() {
    char buffer[4096];
    for (;;) {
      IoResult got = client_->read(buffer, random_.between(1, sizeof buffer));
      if (got.status == IoStatus::end || got.status == IoStatus::failed) {
        world_.note("client: {}", got.status == IoStatus::end ? "end" : "failed");
        break;
      }
      if (got.status == IoStatus::ok) {
        received_.append(buffer, got.bytes);
        world_.note("client: read {}", got.bytes);
      }
      if (random_.one_in(5)) co_await Sleep(world_.loop(), random_.below(40));
      if (!client_->watch().is_ready(Direction::read)) co_await IoWait(client_->watch(), Direction::read, 0);
    }
    client_gone_ = true;  // the writer stops at its next step; a reset of the wire wakes it if it waits for room
    if (!writer_done_) client_->reset();
    reader_done_ = true;
    close_client();
    co_return Unit();
  }

  void close_client() {
    if (writer_done_ && reader_done_) client_.reset();
  }

  void check_answers() {
    std::vector<AnswerReader::Answer> answers;
    std::string wrong = AnswerReader().read(received_, true, answers);
    if (!wrong.empty()) return world_.fail(wrong);
    size_t complete = 0, bytes = 0;  // requests that were sent whole
    for (const Planned& planned : planned_) {
      bytes += planned.bytes.size();
      if (bytes > written_) break;
      ++complete;
    }
    for (size_t i = 0; i < answers.size(); ++i) {
      const auto& answer = answers[i];
      if (i >= complete) {  // begun, but not whole: an echo that was cut, or a refusal
        if (i > complete) return world_.fail("more answers than requests");
        continue;
      }
      if (answer.status != 200) return world_.fail(format("answer {} has status {}", i + 1, answer.status));
      bool may_be_cut = ending_ == Ending::reset;
      if (!answer.is_whole && !may_be_cut) return world_.fail(format("answer {} is cut", i + 1));
      const std::string& want = planned_[i].answer_body;
      if (answer.body != (answer.is_whole && !may_be_cut ? want : want.substr(0, answer.body.size())))
        return world_.fail(format("answer {} has another body", i + 1));
    }
    if (ending_ != Ending::reset && answers.size() < complete) world_.fail(format("{} of {} answered", answers.size(), complete));
  }

  World world_;
  Random random_;
  RandomScript to_server_, to_client_;
  std::vector<Planned> planned_;
  std::string stream_, received_;
  size_t sent_bytes_max_ = 0, written_ = 0;
  Ending ending_ = Ending::wait;
  bool client_gone_ = false, writer_done_ = false, reader_done_ = false;
  WorkerRow row_;
  Worker worker_;
  std::unique_ptr<MemoryTransport> client_;
  Nursery nursery_;
  EchoSink sink_;
};

}  // namespace

Outcome fairlead::sim::simulate(uint64_t seed) { return Simulation(seed).run(seed); }

int main() { return run_seeds(); }
