// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Hot certificates: what was loaded from files is loaded again when they change (`ssl_watch on`), checked, and used for new handshakes;
// what is bad is refused with a log line, and the old stays. For servers and for clients of peers alike. Each worker watches for itself, as
// the user it runs as. Also how long certificates last: in the log and as a metric.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/conf/module.h"
#include "event/file/watch.h"
#include "event/tls/openssl.h"

namespace fairlead {

class Block;
class Generation;

// Something made of certificate files that can be made anew. Lives as long as the generation.
class HotTls {
 public:
  // Absolute paths of all files it was made from.
  virtual std::vector<std::string> sources() const = 0;
  // Makes a fresh context from them: the reason if they are bad. Touches nothing else: it may run on a file thread.
  virtual ConfResult<SslContextPtr> load() const = 0;
  // New handshakes use `context` from now on. In the loop.
  virtual void swap(SslContextPtr context) = 0;
  // The context in use.
  virtual SSL_CTX* current() const = 0;

  // Its files as they were before it was made of them: what differs now has changed since.
  std::vector<FileMark> marks;

 protected:
  ~HotTls() = default;
};

// For generation functions, once for each: its certificates are shown by certificate_ends(), and those that have expired or soon will are
// warned about.
void note_certificates(Generation& generation, HotTls& tls);
// `tls` was made for `block`; it is watched if ssl_watch is on there.
void keep_hot(Generation& generation, const Block& block, HotTls& tls);

// When the certificates end that the servers and clients of a generation show, each certificate once; as this process has them.
struct CertificateEnd {
  std::string subject, serial;
  int64_t end_s = 0;  // since 1970
};
std::vector<CertificateEnd> certificate_ends(Generation& generation);

extern const Module tls_hot_module;

}  // namespace fairlead
