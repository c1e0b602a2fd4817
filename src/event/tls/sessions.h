// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Resumption of sessions as a server: the cache of sessions and the rotating ticket keys that workers share in a zone, and ticket keys out
// of files. What may be resumed with which server is the context's session identity (server.cc).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/conf/value.h"
#include "core/shm/shm.h"
#include "event/tls/openssl.h"

namespace fairlead {

// ssl_session_cache.
struct TlsSessionCache {
  enum class Kind : uint8_t { none, off, builtin, shared };
  Kind kind = Kind::none;
  size_t builtin_sessions = 0;  // beside a zone, too; 0: no cache in the worker
  Zone* zone = nullptr;
};

// A key for session tickets (RFC 5077 section 4): its name, the cipher's and the digest's part.
struct TicketKey {
  static constexpr size_t name_bytes = 16, half_bytes_max = 32;
  unsigned char name[name_bytes];
  unsigned char digest[half_bytes_max], cipher[half_bytes_max];
  uint8_t half_bytes;  // 16: AES-128, 32: AES-256; both with SHA-256
};

// A file of 48 or 80 bytes.
ConfResult<TicketKey> load_ticket_key(std::string_view path);

struct SessionSettings {
  TlsSessionCache cache;
  bool tickets = true;
  uint64_t timeout_s = 300;
};

// What the callbacks of one context need; outlives the context. OpenSSL asks the context that a handshake began with, whatever server it
// turned out to be for: so each SSL is told of the sessions of its first server.
class TlsSessions {
 public:
  // Who is told of sessions besides, by the SSL: OpenSSL has one place for each of these calls.
  struct Listener {
    SslSessionPtr (*find)(SSL& ssl, std::string_view id);
    void (*made)(SSL& ssl, SSL_SESSION& session);
  };
  TlsSessions(const SessionSettings& settings, std::vector<TicketKey> keys) : settings_(settings), keys_(std::move(keys)) {}
  TlsSessions(const TlsSessions&) = delete;
  TlsSessions& operator=(const TlsSessions&) = delete;
  // `listener`: static.
  void install(SSL_CTX& context, const Listener& listener);
  void attach(SSL& ssl);

  // For the callbacks. Seconds since 1970 as `now_s`.
  const Listener& listener() const { return *listener_; }
  bool is_shared() const { return settings_.cache.zone != nullptr; }
  bool keep(SSL& ssl, SSL_SESSION& session, int64_t now_s);
  SslSessionPtr find(std::string_view id, int64_t now_s);
  void forget(std::string_view id);
  // The key for new tickets.
  TicketKey current_key(int64_t now_s);
  // The key of that name; `is_current`: new tickets use it. False: unknown.
  bool find_key(const unsigned char* name, int64_t now_s, TicketKey& key, bool& is_current);

 private:
  SessionSettings settings_;
  std::vector<TicketKey> keys_;  // of files: the first encrypts
  const Listener* listener_ = nullptr;
};

template <>
struct ConfValue<TlsSessionCache> {
  static constexpr WordCount words{1, 2};
  static constexpr std::string_view type = "off | none | [builtin[:sessions]] [shared:name:size]";
  static constexpr bool repeatable = false;
  static ConfResult<Unit> parse(Line& line, TlsSessionCache& field);
};

}  // namespace fairlead
