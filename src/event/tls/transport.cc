// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/transport.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_set>

#include "event/loop/child.h"

namespace fairlead {

// The largest plaintext of one record (RFC 8446 section 5.1).
static constexpr size_t record_bytes_max = 16384;

// What one call may take in without giving plaintext (key updates, tickets): then others have their turn. More than any one record.
static constexpr size_t taken_bytes_max = 32 * 1024;

// Our BIO: plain calls on the transport below.
struct TlsBio {
  using Again = TlsTransport::Again;
  static TlsTransport& of(BIO* bio) { return *static_cast<TlsTransport*>(BIO_get_data(bio)); }

  static void ask_again(BIO* bio, TlsTransport& tls) {
    BIO_set_retry_read(bio);
    tls.asked_again_ = Again::read;
  }

  static int read(BIO* bio, char* to, int room) {
    TlsTransport& tls = of(bio);
    BIO_clear_retry_flags(bio);
    tls.asked_again_ = Again::no;
    if (!tls.received_.empty()) {
      size_t bytes = std::min(static_cast<size_t>(room), tls.received_.size);
      std::memcpy(to, tls.received_.data, bytes);
      tls.received_.drop_front(bytes);
      if (tls.received_.empty()) tls.received_ = Slice();
      return static_cast<int>(bytes);
    }
    // A short read has emptied the socket: no call that would only say so.
    if (tls.has_read_ && !tls.watch().is_ready(tls.below_.read_wait())) {
      ask_again(bio, tls);
      return -1;
    }
    if (tls.taken_bytes_ >= taken_bytes_max) {
      tls.watch().loop().end_budget();
      ask_again(bio, tls);
      return -1;
    }
    tls.has_read_ = true;
    IoResult got = tls.below_.read(to, static_cast<size_t>(room));
    switch (got.status) {
      case IoStatus::ok: tls.taken_bytes_ += got.bytes; return static_cast<int>(got.bytes);
      case IoStatus::again: ask_again(bio, tls); return -1;
      case IoStatus::end: tls.at_end_ = true; return 0;
      case IoStatus::failed: tls.io_error_ = got.sys; return -1;
    }
    return -1;
  }

  static int write(BIO* bio, const char* from, int bytes) {
    TlsTransport& tls = of(bio);
    BIO_clear_retry_flags(bio);
    tls.asked_again_ = Again::no;
    iovec vector{const_cast<char*>(from), static_cast<size_t>(bytes)};
    IoResult sent = tls.below_.write(&vector, 1);
    if (sent.status == IoStatus::ok) return static_cast<int>(sent.bytes);
    if (sent.status == IoStatus::again) {
      BIO_set_retry_write(bio);
      tls.asked_again_ = Again::write;
    } else {
      tls.io_error_ = sent.sys;
    }
    return -1;
  }

  static long control(BIO* bio, int what, long, void*) {
    if (what == BIO_CTRL_FLUSH) return 1;
    if (what == BIO_CTRL_EOF) return of(bio).at_end_ ? 1 : 0;
    return 0;
  }

  static BIO_METHOD* method() {
    static BIO_METHOD* made = [] {
      BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fairlead transport");
      BIO_meth_set_read(fresh, &TlsBio::read);
      BIO_meth_set_write(fresh, &TlsBio::write);
      BIO_meth_set_ctrl(fresh, &TlsBio::control);
      return fresh;
    }();
    return made;
  }

  static int index() {
    static int made = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return made;
  }
};

// What others left in OpenSSL's queue must not count as a failure of the next call, where that is told by SSL_get_error(). Nearly always
// there is nothing, and looking costs a tenth of clearing.
static void clear_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

TlsTransport::TlsTransport(Transport& below, SslPtr ssl, size_t record_bytes, Slice received)
    : Transport(&below.watch()),
      below_(below),
      ssl_(std::move(ssl)),
      received_(std::move(received)),
      record_bytes_(std::clamp<size_t>(record_bytes, 1, record_bytes_max)) {
  BIO* bio = BIO_new(TlsBio::method());
  FL_ASSERT(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_ex_data(ssl_.get(), TlsBio::index(), this);
}

// The close alert is a best effort; without it OpenSSL would also take the session for one that must not be resumed.
TlsTransport::~TlsTransport() {
  if (done_ && !broken_ && !(SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN)) SSL_shutdown(ssl_.get());
  SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  clear_errors();
}

TlsTransport& TlsTransport::of(const SSL* ssl) { return *static_cast<TlsTransport*>(SSL_get_ex_data(ssl, TlsBio::index())); }

std::string_view TlsTransport::alpn() const {
  const unsigned char* name = nullptr;
  unsigned bytes = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &bytes);
  return {reinterpret_cast<const char*>(name), bytes};
}

// What failed connections leave behind is read when they are gone; the texts are few, as OpenSSL's reasons are.
static const char* kept_text(const std::string& text) {
  constexpr size_t texts_max = 256;
  static std::unordered_set<std::string> kept;
  if (kept.size() >= texts_max && !kept.contains(text)) return "SSL call failed";
  return kept.insert(text).first->c_str();
}

const char* TlsTransport::failure_text() const { return failure_.empty() ? nullptr : kept_text(failure_); }

// Not by SSL_get_error(): it looks at OpenSSL's queue first, which anyone may have left something in, and to look there before each record
// costs as much as all else that is done here for one.
IoResult TlsTransport::failed(const char* call, Direction& wait) {
  if (asked_again_ != Again::no) {
    wait = asked_again_ == Again::read ? Direction::read : Direction::write;
    return {IoStatus::again};
  }
  // An error puts the state machine back into a handshake that never ends; early data is read in one.
  bool is_sound = !SSL_in_init(ssl_.get()) || ERR_peek_error() == 0;
  if (is_sound && (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN)) return {IoStatus::end};
  broken_ = true;
  if (is_sound && at_end_) return {IoStatus::end};
  failure_ = openssl_failure(call);
  return {IoStatus::failed, 0, io_error_ ? io_error_ : EPROTO};
}

IoResult TlsTransport::read(char* to, size_t room) {
  if (broken_) return {IoStatus::failed, 0, io_error_ ? io_error_ : EPROTO};
  has_read_ = false;
  taken_bytes_ = 0;
  asked_again_ = Again::no;
  read_wait_ = Direction::read;
  if (early_ == Early::begun || early_ == Early::reading) {
    IoResult early = read_early(to, room);
    if (early_ == Early::begun || early_ == Early::reading) return early;
  }
  size_t got = 0;
  int returned = SSL_read_ex(ssl_.get(), to, room, &got);
  if (returned <= 0) return failed("SSL_read()", read_wait_);
  // The flag says "a read may succeed": bytes that lie in OpenSSL need no event.
  if (SSL_has_pending(ssl_.get()) || !received_.empty()) watch().set_ready(Direction::read, true);
  return {IoStatus::ok, got};
}

IoResult TlsTransport::write_record(const char* from, size_t bytes) {
  if (broken_) return {IoStatus::failed, 0, io_error_ ? io_error_ : EPIPE};
  has_read_ = false;
  taken_bytes_ = 0;
  asked_again_ = Again::no;
  write_wait_ = Direction::write;
  size_t sent = 0;
  bytes = std::min(bytes, record_bytes_);
  bool is_early = early_ == Early::reading || early_ == Early::begun;
  if (is_early) clear_errors();
  int returned = is_early ? SSL_write_early_data(ssl_.get(), from, bytes, &sent) : SSL_write_ex(ssl_.get(), from, bytes, &sent);
  if (returned <= 0) {
    IoResult result = failed("SSL_write()", write_wait_);
    if (result.status == IoStatus::end) return {IoStatus::failed, 0, EPIPE};
    return result;
  }
  return {IoStatus::ok, sent};
}

// Where small pieces become one record, and files are read into. One loop, one thread; nothing waits while it is in use.
static char* record_room() {
  static char room[record_bytes_max];
  return room;
}

// OpenSSL is given at least the bytes of an unfinished record again (SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER): callers keep what was not taken
// at the front of their chain, so the same bytes gather again.
IoResult TlsTransport::write(const iovec* vectors, int count) {
  const auto* first = static_cast<const char*>(vectors[0].iov_base);
  if (count == 1 || vectors[0].iov_len >= record_bytes_) return write_record(first, vectors[0].iov_len);
  char* room = record_room();
  size_t total = 0;
  for (int i = 0; i < count && total < record_bytes_; ++i) {
    size_t bytes = std::min(vectors[i].iov_len, record_bytes_ - total);
    std::memcpy(room + total, vectors[i].iov_base, bytes);
    total += bytes;
  }
  return write_record(room, total);
}

IoResult TlsTransport::send_file(int file, uint64_t offset, size_t bytes) {
  ssize_t got = pread(file, record_room(), std::min(bytes, record_bytes_), static_cast<off_t>(offset));
  if (got < 0) return {IoStatus::failed, 0, errno};
  if (got == 0) return {IoStatus::end};
  return write_record(record_room(), static_cast<size_t>(got));
}

void TlsTransport::shutdown_write() {
  if (done_ && !broken_) {
    clear_errors();
    SSL_shutdown(ssl_.get());
  }
  below_.shutdown_write();
}

// More of it, or, once it is over, `off` in early_: the rest of the handshake is read like any data.
IoResult TlsTransport::read_early(char* to, size_t room) {
  if (early_ == Early::begun) {
    early_ = Early::reading;
    *to = early_byte_;
    watch().set_ready(Direction::read, true);  // more may lie in OpenSSL
    return {IoStatus::ok, 1};
  }
  size_t got = 0;
  clear_errors();
  switch (SSL_read_early_data(ssl_.get(), to, room, &got)) {
    case SSL_READ_EARLY_DATA_SUCCESS:
      watch().set_ready(Direction::read, true);
      return {IoStatus::ok, got};
    case SSL_READ_EARLY_DATA_FINISH:
      early_ = Early::off;
      return {IoStatus::again};
    default: return failed("SSL_read_early_data()", read_wait_);
  }
}

// The beginning of a handshake that may bring early data.
TlsTransport::Step TlsTransport::early_step() {
  size_t got = 0;
  switch (SSL_read_early_data(ssl_.get(), &early_byte_, 1, &got)) {
    case SSL_READ_EARLY_DATA_SUCCESS:
      early_ = Early::begun;
      done_ = true;
      watch().set_ready(Direction::read, true);
      return Step::done;
    case SSL_READ_EARLY_DATA_FINISH: early_ = Early::off; return Step::done;
    default: break;
  }
  switch (SSL_get_error(ssl_.get(), 0)) {
    case SSL_ERROR_WANT_READ: return Step::need_read;
    case SSL_ERROR_WANT_WRITE: return Step::need_write;
    case SSL_ERROR_WANT_X509_LOOKUP:
    case SSL_ERROR_WANT_CLIENT_HELLO_CB: return Step::ask;
    default: return Step::failed;
  }
}

TlsTransport::Step TlsTransport::step() {
  clear_errors();
  taken_bytes_ = 0;
  has_read_ = true;  // in a handshake the flag of the watch is exact from the start
  if (early_ == Early::offered) {
    Step begun = early_step();
    if (begun != Step::done || done_) return begun;
  }
  int returned = SSL_do_handshake(ssl_.get());
  if (returned == 1) {
    done_ = true;
    if (SSL_has_pending(ssl_.get()) || !received_.empty()) watch().set_ready(Direction::read, true);
    return Step::done;
  }
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ: return Step::need_read;
    case SSL_ERROR_WANT_WRITE: return Step::need_write;
    case SSL_ERROR_WANT_X509_LOOKUP:
    case SSL_ERROR_WANT_CLIENT_HELLO_CB: return Step::ask;
    default: return Step::failed;
  }
}

Result<Unit> TlsTransport::handshake_failed() {
  broken_ = true;
  Side side = SSL_is_server(ssl_.get()) ? Side::client : Side::upstream;
  if (ERR_peek_error() == 0) {
    constexpr const char* closed = "peer closed connection in SSL handshake";
    return io_error_ ? Error::from_errno(io_error_, closed, side) : Error{Fault::closed, side, 0, closed};
  }
  failure_ = openssl_failure("SSL_do_handshake()");
  if (is_rejected) failure_ = "handshake rejected";
  return Error{Fault::malformed, side, 0, "SSL_do_handshake() failed"};
}

// The alert is a best effort, like that of a close.
Error TlsTransport::refuse() {
  is_refused = true;
  step();
  clear_errors();
  broken_ = true;
  if (SSL_is_server(ssl_.get())) return Error{Fault::unavailable, Side::local, 0, "the handshake was refused"};
  return Error{Fault::denied, Side::upstream, 0, "the handshake was refused"};
}

// False: the handshake is over; with `question` still set it took too long.
Task<bool> TlsTransport::ask(TlsQuestions& questions, uint64_t deadline_ms) {
  bool is_hello = question == Question::hello;
  Task<bool> answer = is_hello ? questions.answer_hello(*ssl_) : questions.find_certificate(*ssl_);
  Deadline<bool> bounded(below_.watch().loop(), std::move(answer), deadline_ms);
  std::optional<bool> answered = co_await bounded;
  if (!answered) co_return false;
  question = Question::none;
  (is_hello ? hello_is_answered : certificate_is_answered) = true;
  co_return *answered;
}

Task<Result<Unit>> TlsTransport::handshake(TlsQuestions* questions, uint64_t deadline_ms) {
  for (;;) {
    Step next = step();
    if (next == Step::done) co_return Unit();
    if (next == Step::failed) co_return handshake_failed();
    if (next == Step::ask) {
      FL_ASSERT(questions && question != Question::none);
      bool answered = co_await ask(*questions, deadline_ms);
      if (answered) continue;
      Side side = SSL_is_server(ssl_.get()) ? Side::client : Side::upstream;
      if (question == Question::none) co_return refuse();
      broken_ = true;
      co_return Error{Fault::timeout, side, ETIMEDOUT, "timed out in SSL handshake"};
    }
    Direction direction = next == Step::need_read ? Direction::read : Direction::write;
    WaitStatus status = co_await IoWait(watch(), direction, deadline_ms);
    if (status == WaitStatus::timeout) {
      broken_ = true;
      Side side = SSL_is_server(ssl_.get()) ? Side::client : Side::upstream;
      co_return Error{Fault::timeout, side, ETIMEDOUT, "timed out in SSL handshake"};
    }
  }
}

}  // namespace fairlead
