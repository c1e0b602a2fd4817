// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Session: the frames of one HTTP/2 connection, on nghttp2, for either side: streams, windows, GOAWAY, PING, the conduct of the peer. It
// waits for nothing but the socket to take what is to be written; whoever owns it runs the connection (server.h, client.h): reads, starts
// and ends streams, decides about idleness.
//
// Frames are made as soon as they are known and leave in one write at the end of the loop's turn, those of all streams together. Nothing
// that nghttp2 calls resumes or destroys a coroutine. The connection's own receive window is open as far as it goes, so a stream that
// nobody reads holds up no other; what a stream may send ahead is its own window, which opens as its body is pulled.
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <string>

#include "event/loop/child.h"
#include "event/net/connection.h"
#include "http/h2/conduct.h"
#include "http/h2/field_list.h"
#include "http/h2/rules.h"
#include "http/h2/stream.h"

namespace fairlead::http::h2 {

enum class Role : uint8_t { server, client };

// Who runs the connection. Called from inside nghttp2: record and wake only.
class SessionEvents {
 public:
  // Server: the peer opens a stream. nullptr: refused.
  virtual Stream* open() { return nullptr; }
  // Server: a stream came for which there is no place. Called from outside nghttp2, while input is taken in.
  virtual void filled() {}
  // Server: and none became free, so that this one was reset; its owner drops it. Likewise called from outside.
  virtual void refused(Stream&) {}
  // The peer will open none above `last_stream`, and has not looked at ours above it.
  virtual void goes_away(int32_t /*last_stream*/, ErrorCode) {}
  virtual void settings_changed() {}
  virtual void pong() {}
  // A stream has been closed: there may be room for another, or it was the last.
  virtual void stream_closed() {}

 protected:
  ~SessionEvents() = default;
};

class Session {
 public:
  // Announces settings and window; nothing is written before the first send(). All arguments outlive it.
  Session(Role role, Connection& connection, const SessionRules& rules, SessionEvents& events);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Connection& connection() const { return connection_; }
  Loop& loop() const { return connection_.loop(); }
  const SessionRules& rules() const { return rules_; }

  // -- for the runner --

  enum class ReadEnd : uint8_t {
    again,   // all that was there is taken in: wait for readable
    more,    // `bytes_max` were read; others should have their turn
    ended,   // the peer sends no more
    broken,  // the connection failed
    over,    // by GOAWAY of either side and without streams, or because of violation(): close once flushed()
  };
  // Reads and takes in what the peer sent, at most `bytes_max` or little more, then sends what follows from it.
  ReadEnd read(size_t bytes_max);
  // Why we ended the connection, for the log; nullptr: we did not.
  const char* violation() const { return violation_; }
  // Nothing is left to be said on it.
  bool is_over() const;
  // co_await session.flushed(deadline): until nothing is left to send, or the connection is broken.
  Event::Wait flushed(uint64_t deadline_ms) { return flushed_.wait(deadline_ms); }
  // The connection is gone: every stream is closed.
  void lose();
  // Makes the runner, which waits for readable, look again.
  void wake_runner() { loop().raise(connection_.watch(), true, true, false); }
  size_t stream_count() const { return stream_count_; }
  // What nghttp2 found wrong since the last call, for the log; empty: nothing.
  std::string take_complaint() { return std::exchange(complaint_, {}); }

  // -- for streams --

  // Client: opens `stream` with these fields. False: no further stream can be opened (ids used up, the peer goes away).
  bool open(Stream& stream, const FieldList& fields, bool has_body);
  // Server: the final head. The body follows by Stream::pump().
  void submit_head(Stream& stream, const FieldList& fields, bool has_body);
  void submit_interim(Stream& stream, const FieldList& fields);
  // Client: false after GOAWAY of either side, and once the peer broke the protocol.
  bool may_open() const { return nghttp2_session_check_request_allowed(session_.get()) != 0; }
  // Client: how many more streams the peer lets us have open now.
  size_t room() const;
  uint32_t peer_setting(nghttp2_settings_id id) const { return nghttp2_session_get_remote_settings(session_.get(), id); }

  // Makes frames of what is submitted, as far as windows and the unwritten bytes allow, and has them written at the end of the turn.
  void send();
  // The same, written now as far as the socket takes it.
  void flush();

  // -- the connection's own frames; they leave with the next send() --

  void ping();
  // The first of two steps (RFC 9113 section 6.8): streams under way when it arrives are still served.
  void announce_shutdown();
  // The second, or the only one after an error: no stream above the last one taken in is served.
  void go_away(ErrorCode code);
  bool goes_away() const { return gone_away_; }

 private:
  friend class Stream;
  struct Calls;  // what nghttp2 calls (session_calls.h)
  struct Delete {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };
  struct Flush : Resumable {
    explicit Flush(Session& owner) : Resumable([](Resumable& r) { static_cast<Flush&>(r).session.flush(); }), session(owner) {}
    Session& session;
  };

  void announce();
  void announce_streams_max();
  void take_in(std::string_view bytes);
  ssize_t feed(std::string_view bytes);
  void refuse_surplus();
  // Ends the connection if the peer's conduct calls for it.
  void judge();
  // Of a client's stream whose head begins: a later one was opened before it, and it never was. Only the last such gap is known.
  bool is_passed_over(int32_t id);
  void attach(Stream& stream, int32_t id);
  // nghttp2 no longer knows it.
  void forget(Stream& stream);
  void reset(Stream& stream, ErrorCode code);
  void consume(Stream& stream, size_t bytes);
  // Bytes of `stream` are there to be sent.
  void resume(Stream& stream);
  void open_window(Stream& stream);
  void reopen_windows();
  void make_frames();
  Task<Unit> write_rest();
  void send_soon() { loop().at_turn_end(flush_); }

  Connection& connection_;
  const SessionRules& rules_;
  SessionEvents& events_;
  Role role_;
  std::unique_ptr<nghttp2_session, Delete> session_;
  Conduct conduct_;
  const char* violation_ = nullptr;
  int32_t last_id_ = -1, passed_over_from_ = 0, passed_over_to_ = 0;  // see is_passed_over()
  const char* misframed_ = nullptr; // a connection error that nghttp2 overlooks
  int32_t surplus_id_ = 0;          // of the stream whose head is taken in, if there was no place for it
  bool is_paused_ = false;          // nghttp2 is, for that
  size_t block_bytes_ = 0;          // of the header block that is taken in, or was last
  size_t block_frames_ = 0;         // that it came in
  bool gone_away_ = false;
  bool lost_ = false;
  size_t stream_count_ = 0;         // those that nghttp2 knows
  std::string complaint_;
  List<Stream> streams_;            // the same
  Chain out_;                       // made, not yet written
  ChainWriter* writer_ = nullptr;   // while frames are made
  Flush flush_;
  Child<Unit> writing_;             // while the socket is full
  Event flushed_;
};

}  // namespace fairlead::http::h2
