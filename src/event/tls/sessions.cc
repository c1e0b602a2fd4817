// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/sessions.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/generation.h"
#include "core/process/small_file.h"
#include "core/shm/table.h"

namespace fairlead {

namespace {

// Larger sessions (long client chains) are not kept in the zone; they resume by tickets.
constexpr size_t session_bytes_max = 8192;
// As many expired sessions are dropped with each new one, at most.
constexpr int expire_batch = 2;

struct KeptSession {
  int64_t expires_s;
};
using SessionTable = ShmTable<KeptSession>;

// The root of a zone of sessions.
struct SharedSessions {
  SessionTable* table;
  TicketKey current, previous;
  int64_t rotated_s;  // when `current` was made; 0: never
};

// The identity of the owner of such zones.
constexpr char zone_owner = 0;

// Under the zone's lock. nullptr: the zone is full before it began.
SharedSessions* shared_in(Zone& zone) {
  if (auto* shared = zone.root<SharedSessions>()) return shared;
  void* place = zone.slab().allocate(sizeof(SharedSessions));
  if (!place) return nullptr;
  auto* shared = new (place) SharedSessions();
  shared->table = SessionTable::create(zone.slab());
  if (!shared->table) return nullptr;
  zone.set_root(shared);
  return shared;
}

void make_key(TicketKey& key) {
  RAND_bytes(reinterpret_cast<unsigned char*>(&key), sizeof key);
  key.half_bytes = TicketKey::half_bytes_max;
}

// A key encrypts for as long as a session lives and decrypts for that time again.
void rotate(SharedSessions& shared, int64_t now_s, int64_t lifetime_s) {
  if (shared.rotated_s && now_s < shared.rotated_s + lifetime_s) return;
  bool is_recent = shared.rotated_s && now_s < shared.rotated_s + 2 * lifetime_s;
  if (is_recent) shared.previous = shared.current;
  else make_key(shared.previous);
  make_key(shared.current);
  shared.rotated_s = now_s;
}

TlsSessions& sessions_of(SSL_CTX* context) { return *static_cast<TlsSessions*>(SSL_CTX_get_app_data(context)); }

int sessions_index() {
  static int made = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return made;
}
TlsSessions& sessions_of(SSL* ssl) { return *static_cast<TlsSessions*>(SSL_get_ex_data(ssl, sessions_index())); }

int64_t now() { return time(nullptr); }

std::string_view id_of(const SSL_SESSION* session) {
  unsigned bytes = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &bytes);
  return {reinterpret_cast<const char*>(id), bytes};
}

int on_new_session(SSL* ssl, SSL_SESSION* session) {
  TlsSessions& sessions = sessions_of(ssl);
  if (sessions.is_shared()) sessions.keep(*ssl, *session, now());
  // Those of TLS 1.3 are named in tickets alone, where nobody could be asked for one that he keeps.
  if (SSL_version(ssl) != TLS1_3_VERSION) sessions.listener().made(*ssl, *session);
  return 0;  // the reference stays OpenSSL's
}

SSL_SESSION* on_wanted_session(SSL* ssl, const unsigned char* id, int bytes, int* copy) {
  *copy = 0;
  TlsSessions& sessions = sessions_of(ssl);
  std::string_view wanted(reinterpret_cast<const char*>(id), static_cast<size_t>(bytes));
  SslSessionPtr found = sessions.listener().find(*ssl, wanted);
  if (!found && sessions.is_shared()) found = sessions.find(wanted, now());
  return found.release();
}

void on_bad_session(SSL_CTX* context, SSL_SESSION* session) { sessions_of(context).forget(id_of(session)); }

// The end of the ticket callback's arguments.
struct TicketCrypto {
  TicketCrypto(unsigned char* vector, EVP_CIPHER_CTX* with, EVP_MAC_CTX* digest, int encrypt)
      : iv(vector), cipher(with), mac(digest), is_encrypt(encrypt == 1) {}
  unsigned char* iv;
  EVP_CIPHER_CTX* cipher;
  EVP_MAC_CTX* mac;
  bool is_encrypt;

  bool start(TicketKey& key) const {
    const EVP_CIPHER* method = key.half_bytes == TicketKey::half_bytes_max ? EVP_aes_256_cbc() : EVP_aes_128_cbc();
    if (is_encrypt && RAND_bytes(iv, EVP_CIPHER_get_iv_length(method)) != 1) return false;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.digest, key.half_bytes),
                           OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>("SHA256"), 0),
                           OSSL_PARAM_construct_end()};
    return EVP_CipherInit_ex(cipher, method, nullptr, key.cipher, iv, is_encrypt) == 1 && EVP_MAC_CTX_set_params(mac, params) == 1;
  }
};

template <class... Crypto>
int on_ticket(SSL* ssl, unsigned char* name, Crypto... arguments) {
  constexpr int failed = -1, unknown = 0, good = 1, good_and_renew = 2;
  TicketCrypto crypto(arguments...);
  TlsSessions& sessions = sessions_of(ssl);
  TicketKey key;
  bool is_current = true;
  if (crypto.is_encrypt) {
    key = sessions.current_key(now());
    std::memcpy(name, key.name, sizeof key.name);
  } else if (!sessions.find_key(name, now(), key, is_current)) {
    return unknown;
  }
  int answer = !crypto.start(key) ? failed : is_current && SSL_version(ssl) != TLS1_3_VERSION ? good : good_and_renew;
  if (crypto.is_encrypt && answer == good_and_renew) answer = good;
  OPENSSL_cleanse(&key, sizeof key);
  return answer;
}

}  // namespace

ConfResult<TicketKey> load_ticket_key(std::string_view path) {
  constexpr size_t small_bytes = 48, large_bytes = 80;
  auto text = read_small_file(std::string(path), large_bytes + 1);
  if (!text) return format("open() \"{}\" failed ({}: {})", path, errno, strerror(errno));
  if (text->size() != small_bytes && text->size() != large_bytes) return format("\"{}\" must be 48 or 80 bytes", path);
  TicketKey key{};
  key.half_bytes = static_cast<uint8_t>((text->size() - TicketKey::name_bytes) / 2);
  const char* at = text->data();
  std::memcpy(key.name, at, TicketKey::name_bytes);
  at += TicketKey::name_bytes;
  // nginx's order: with 48 bytes the cipher's half is first, with 80 the digest's.
  unsigned char* first = text->size() == small_bytes ? key.cipher : key.digest;
  unsigned char* second = text->size() == small_bytes ? key.digest : key.cipher;
  std::memcpy(first, at, key.half_bytes);
  std::memcpy(second, at + key.half_bytes, key.half_bytes);
  OPENSSL_cleanse(text->data(), text->size());
  return key;
}

void TlsSessions::attach(SSL& ssl) { SSL_set_ex_data(&ssl, sessions_index(), this); }

void TlsSessions::install(SSL_CTX& context, const Listener& listener) {
  listener_ = &listener;
  SSL_CTX_set_app_data(&context, this);
  SSL_CTX_set_timeout(&context, static_cast<long>(settings_.timeout_s));
  if (!settings_.tickets) SSL_CTX_set_options(&context, SSL_OP_NO_TICKET);
  using Kind = TlsSessionCache::Kind;
  long mode = SSL_SESS_CACHE_SERVER;
  switch (settings_.cache.kind) {
    case Kind::off: mode = SSL_SESS_CACHE_OFF; break;
    // Clients are told that sessions may be resumed, but none is kept.
    case Kind::none:
      mode |= SSL_SESS_CACHE_NO_AUTO_CLEAR | SSL_SESS_CACHE_NO_INTERNAL_STORE;
      SSL_CTX_sess_set_cache_size(&context, 1);
      break;
    case Kind::builtin: SSL_CTX_sess_set_cache_size(&context, static_cast<long>(settings_.cache.builtin_sessions)); break;
    case Kind::shared:
      if (settings_.cache.builtin_sessions == 0) mode |= SSL_SESS_CACHE_NO_INTERNAL;
      else SSL_CTX_sess_set_cache_size(&context, static_cast<long>(settings_.cache.builtin_sessions));
      SSL_CTX_sess_set_remove_cb(&context, &on_bad_session);
      break;
  }
  SSL_CTX_sess_set_new_cb(&context, &on_new_session);
  SSL_CTX_sess_set_get_cb(&context, &on_wanted_session);
  SSL_CTX_set_session_cache_mode(&context, mode);
  if (settings_.tickets && (!keys_.empty() || settings_.cache.zone))
    SSL_CTX_set_tlsext_ticket_key_evp_cb(&context, &on_ticket<unsigned char*, EVP_CIPHER_CTX*, EVP_MAC_CTX*, int>);
}

bool TlsSessions::keep(SSL& ssl, SSL_SESSION& session, int64_t now_s) {
  // TLS 1.3 tells of sessions that live in tickets, too.
  bool is_in_ticket = SSL_version(&ssl) == TLS1_3_VERSION && settings_.tickets;
  int bytes = i2d_SSL_SESSION(&session, nullptr);
  if (is_in_ticket || bytes <= 0 || static_cast<size_t>(bytes) > session_bytes_max) return false;
  unsigned char room[session_bytes_max];
  unsigned char* end = room;
  i2d_SSL_SESSION(&session, &end);
  ShmLockGuard guard = settings_.cache.zone->lock();
  SharedSessions* shared = shared_in(*settings_.cache.zone);
  if (!shared) return false;
  shared->table->expire(expire_batch, [&](const KeptSession& kept) { return kept.expires_s <= now_s; });
  auto found = shared->table->find_or_insert(id_of(&session), static_cast<uint32_t>(bytes));
  if (!found.value || !found.fresh) return false;
  found.value->expires_s = now_s + static_cast<int64_t>(settings_.timeout_s);
  std::memcpy(shared->table->tail_of(found.value), room, static_cast<size_t>(bytes));
  OPENSSL_cleanse(room, static_cast<size_t>(bytes));
  return true;
}

SslSessionPtr TlsSessions::find(std::string_view id, int64_t now_s) {
  unsigned char room[session_bytes_max];
  size_t bytes = 0;
  {
    ShmLockGuard guard = settings_.cache.zone->lock();
    SharedSessions* shared = shared_in(*settings_.cache.zone);
    KeptSession* kept = shared ? shared->table->find(id) : nullptr;
    if (!kept) return nullptr;
    if (kept->expires_s <= now_s) {
      shared->table->remove(kept);
      return nullptr;
    }
    bytes = shared->table->tail_bytes_of(kept);
    std::memcpy(room, shared->table->tail_of(kept), bytes);
  }
  const unsigned char* at = room;
  SslSessionPtr session(d2i_SSL_SESSION(nullptr, &at, static_cast<long>(bytes)));
  OPENSSL_cleanse(room, bytes);
  return session;
}

void TlsSessions::forget(std::string_view id) {
  ShmLockGuard guard = settings_.cache.zone->lock();
  SharedSessions* shared = shared_in(*settings_.cache.zone);
  if (KeptSession* kept = shared ? shared->table->find(id) : nullptr) shared->table->remove(kept);
}

TicketKey TlsSessions::current_key(int64_t now_s) {
  if (!keys_.empty()) return keys_.front();
  ShmLockGuard guard = settings_.cache.zone->lock();
  SharedSessions* shared = shared_in(*settings_.cache.zone);
  if (!shared) {  // a key that nobody finds again: the ticket is good for nothing
    TicketKey lost;
    make_key(lost);
    return lost;
  }
  rotate(*shared, now_s, static_cast<int64_t>(settings_.timeout_s));
  return shared->current;
}

bool TlsSessions::find_key(const unsigned char* name, int64_t now_s, TicketKey& key, bool& is_current) {
  auto is_named = [&](const TicketKey& one) { return std::memcmp(one.name, name, TicketKey::name_bytes) == 0; };
  if (!keys_.empty()) {
    auto found = std::find_if(keys_.begin(), keys_.end(), is_named);
    if (found == keys_.end()) return false;
    key = *found;
    is_current = found == keys_.begin();
    return true;
  }
  ShmLockGuard guard = settings_.cache.zone->lock();
  SharedSessions* shared = shared_in(*settings_.cache.zone);
  if (!shared) return false;
  rotate(*shared, now_s, static_cast<int64_t>(settings_.timeout_s));
  is_current = is_named(shared->current);
  if (!is_current && !is_named(shared->previous)) return false;
  key = is_current ? shared->current : shared->previous;
  return true;
}

ConfResult<Unit> ConfValue<TlsSessionCache>::parse(Line& line, TlsSessionCache& field) {
  using Kind = TlsSessionCache::Kind;
  constexpr size_t builtin_default = 20 * 1024;  // OpenSSL's
  field = {};
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    if (word == "off" || word == "none") {
      field.kind = word == "off" ? Kind::off : Kind::none;
    } else if (word == "builtin") {
      field.builtin_sessions = builtin_default;
    } else if (word.starts_with("builtin:")) {
      auto number = parse_decimal(word.substr(8));
      if (!number) return format("invalid session cache \"{}\"", word);
      field.builtin_sessions = *number;
    } else if (word.starts_with("shared:")) {
      std::string_view rest = word.substr(7);
      size_t colon = rest.find(':');
      auto bytes = colon == std::string_view::npos ? std::nullopt : parse_size(rest.substr(colon + 1), SizeUnits::up_to_mega);
      if (!bytes || colon == 0) return format("invalid session cache \"{}\"", word);
      if (*bytes < zone_bytes_min) return format("session cache \"{}\" is too small", word);
      auto zone = line.generation().zones.declare(rest.substr(0, colon), *bytes, &zone_owner);
      if (!zone) return std::move(zone.error());
      field.zone = *zone;
    } else {
      return format("invalid session cache \"{}\"", word);
    }
  }
  if (field.zone) field.kind = Kind::shared;
  else if (field.builtin_sessions) field.kind = Kind::builtin;
  return Unit();
}

}  // namespace fairlead
