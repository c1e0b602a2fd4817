// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// TlsTransport: TLS over another transport, as its server or its client. OpenSSL reads and writes through a BIO of our own that makes
// plain calls on the transport below, so readiness stays what the Watch says. Certificates, trust and sessions are decided elsewhere
// (server.h, client.h). Owned by its Connection, as a layer.
#pragma once

#include <string>
#include <string_view>

#include "core/base/buffer.h"
#include "event/loop/task.h"
#include "event/net/transport.h"
#include "event/tls/openssl.h"

namespace fairlead {

// What a handshake may have to ask for before it can go on. The callbacks of OpenSSL never wait: they note a question and let the
// handshake pause; handshake() then awaits the answer. One per connection, alive until its handshake has ended.
class TlsQuestions {
 public:
  // The client hello was read and nothing of it counts yet: SSL_client_hello_get0_ext() and the like tell what is in it. False: the
  // handshake fails; the reason has been logged.
  virtual Task<bool> answer_hello(SSL&) { co_return true; }
  // The certificate to present is needed and not known yet: sets it on `ssl`. False: the handshake fails; the reason has been logged.
  virtual Task<bool> find_certificate(SSL& ssl) = 0;

 protected:
  ~TlsQuestions() = default;
};

class TlsTransport final : public Transport {
 public:
  // `ssl`: its role and context are set. `record_bytes`: most of one record when sending. `received`: what was read from `below` already.
  TlsTransport(Transport& below, SslPtr ssl, size_t record_bytes, Slice received = Slice());
  ~TlsTransport() override;

  // Until it is done or has failed; the reason then is in failure(), an orderly or a sudden end has Fault::closed. `deadline_ms`: absolute,
  // 0 for none.
  Task<Result<Unit>> handshake(TlsQuestions* questions, uint64_t deadline_ms);

  IoResult read(char* to, size_t room) override;
  IoResult write(const iovec* vectors, int count) override;
  IoResult send_file(int file, uint64_t offset, size_t bytes) override;
  void shutdown_write() override;
  Direction read_wait() const override { return read_wait_; }
  Direction write_wait() const override { return write_wait_; }

  SSL& ssl() const { return *ssl_; }
  // For OpenSSL's callbacks: the transport of an SSL, and its place for a question.
  static TlsTransport& of(const SSL* ssl);
  enum class Question : uint8_t { none, hello, certificate };
  Question question = Question::none;
  // What was asked for has been set.
  bool hello_is_answered = false, certificate_is_answered = false;
  // The answer was no: the callback that asked fails the handshake, and OpenSSL alerts the peer.
  bool is_refused = false;
  // Nobody here answers to that name: no fault of TLS (ssl_reject_handshake).
  bool is_rejected = false;
  // As a server, before handshake(): early data may be taken (RFC 8446 section 4.2.10); the handshake counts as done once there is some.
  void take_early_data() { early_ = Early::offered; }
  // What the callbacks of its contexts may look at; set by whoever made the SSL.
  void* owner = nullptr;
  // As a client: under what its owner keeps sessions of this connection; empty: it keeps none.
  std::string label;

  // What was agreed on by ALPN; empty: nothing. Lives as long as this.
  std::string_view alpn() const override;
  const char* failure_text() const override;
  // Why the last call failed, for the log: "SSL_read() failed (SSL: ...)".
  const std::string& failure() const { return failure_; }
  bool is_done() const { return done_; }

 private:
  friend struct TlsBio;
  enum class Step : uint8_t { done, failed, ask, need_read, need_write };
  Step step();
  Task<bool> ask(TlsQuestions& questions, uint64_t deadline_ms);
  // What a failed call means; `call` for the log. Sets `wait` if it is to be made again.
  IoResult failed(const char* call, Direction& wait);
  Result<Unit> handshake_failed();
  // Ends a handshake that a question was answered with no in.
  Error refuse();
  // At most a record of `bytes` at `from`.
  IoResult write_record(const char* from, size_t bytes);

  Transport& below_;
  SslPtr ssl_;
  Slice received_;
  size_t record_bytes_;
  size_t taken_bytes_ = 0;     // by the BIO from below within this call
  Direction read_wait_ = Direction::read, write_wait_ = Direction::write;
  // Early data of a client: whether it is taken; some was read, the next byte of it lies in early_byte_; it is being read; it is over.
  enum class Early : uint8_t { off, offered, begun, reading };
  Step early_step();
  IoResult read_early(char* to, size_t room);
  Early early_ = Early::off;
  char early_byte_ = 0;
  bool done_ = false;          // the handshake is
  bool broken_ = false;        // no further call may be made on ssl_
  bool has_read_ = false;      // the BIO read from below within this call: the flag of the watch is exact
  bool at_end_ = false;        // below has ended
  enum class Again : uint8_t { no, read, write };
  Again asked_again_ = Again::no;  // what the BIO was asked for last, and could not do yet
  int io_error_ = 0;           // errno of the transport below
  std::string failure_;
};

}  // namespace fairlead
