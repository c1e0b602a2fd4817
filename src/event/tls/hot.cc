// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/hot.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/clock.h"
#include "core/base/format.h"
#include "core/conf/error_log.h"
#include "core/conf/generation.h"
#include "event/hooks.h"
#include "event/tls/context.h"
#include "event/tls/peer.h"
#include "event/tls/pem.h"
#include "event/worker.h"

namespace fairlead {
namespace {

struct HotConf {
  bool watch = false;
  std::vector<HotTls*> known, all;  // of the main part: every one; those that are watched
};

// Certificates that end sooner are warned about when they are loaded.
constexpr int64_t warn_days = 7;
constexpr int64_t day_s = 86400;

constexpr Directive rows[] = {
    slot<HotConf, &HotConf::watch>("ssl_watch", in_http_any | in_stream_any,
                                   "Load certificates, keys, trusted authorities and revocation lists again when their files change, those "
                                   "of peers (proxy_ssl_...) included."),
};

ConfResult<Unit> check_all_dates(SSL_CTX* context) {
  ConfResult<Unit> result = Unit();
  for_each_certificate(context, [&](X509& certificate) {
    if (result) result = check_dates(certificate, process_clock.seconds());
  });
  return result;
}

// Calls `warn(text)` for each certificate that has ended or soon will.
template <class Warn>
void warn_of_end(SSL_CTX* context, Warn warn) {
  for_each_certificate(context, [&](X509& certificate) {
    int64_t left_s = seconds_of(X509_get0_notAfter(&certificate)) - process_clock.seconds();
    if (left_s >= warn_days * day_s) return;
    warn(format("certificate \"{}\" {} on {}", subject_text(certificate, NameFormat::rfc2253), left_s < 0 ? "has expired" : "expires",
                time_text(X509_get0_notAfter(&certificate))));
  });
}

// The watching of one worker.
class Watcher {
 public:
  Watcher(Worker& worker, const std::vector<HotTls*>& all)
      : worker_(worker), log_(*conf<ErrorLogConf>(worker.generation().root()).log), files_(worker.loop()), all_(all) {}

  Task<Unit> run() {
    warn_of_unreadable();
    for (;;) {
      watch_files();  // first: what changes while the others are looked at is told
      for (HotTls* tls : all_) {
        std::vector<std::string> sources = tls->sources();
        std::vector<FileMark> seen = marks_of(sources);
        auto [changed, before] = std::mismatch(seen.begin(), seen.end(), tls->marks.begin(), tls->marks.end());
        if (changed == seen.end()) continue;
        size_t shown = static_cast<size_t>(changed - seen.begin());  // the first of those that changed
        tls->marks = std::move(seen);
        co_await load(*tls, sources[shown]);
      }
      co_await files_.changed();
    }
  }

 private:
  // A worker has the rights of its user, not those of the master that loaded the files first.
  void warn_of_unreadable() const {
    for (const HotTls* tls : all_)
      for (const std::string& path : tls->sources())
        if (access(path.c_str(), R_OK) != 0) log_.warn(Errno{errno}, "ssl_watch cannot read \"{}\": its changes need a reload", path);
  }

  void watch_files() {
    std::vector<std::string> paths;
    for (const HotTls* tls : all_)
      for (const std::string& path : tls->sources()) paths.push_back(path);
    files_.watch(paths);
  }

  Task<Unit> load(HotTls& tls, const std::string& shown) {
    auto call = [&tls] { return tls.load(); };
    Blocking loading(worker_.files(), std::move(call));
    auto loaded = co_await loading;
    std::string reason;
    if (!loaded) reason = loaded.error().what;
    else if (!*loaded) reason = loaded->error();
    else if (auto dates = check_all_dates((*loaded)->get()); !dates) reason = dates.error();
    if (!reason.empty()) {
      log_.error("\"{}\" has changed but is not used, the old one stays: {}", shown, reason);
      co_return Unit();
    }
    tls.swap(std::move(**loaded));
    log_.notice("\"{}\" has changed and is used from now on", shown);
    warn_of_end(tls.current(), [&](const std::string& text) { log_.warn("{}", text); });
    co_return Unit();
  }

  Worker& worker_;
  Logger log_;
  FileWatch files_;
  const std::vector<HotTls*>& all_;
};

Task<Unit> start(Worker& worker) {
  const std::vector<HotTls*>& all = conf<HotConf>(worker.generation().root()).all;
  if (all.empty()) co_return Unit();
  Watcher watcher(worker, all);
  co_await watcher.run();
  co_return Unit();
}

constexpr event::Hooks hooks = {.start = &start};

}  // namespace

void note_certificates(Generation& generation, HotTls& tls) {
  conf<HotConf>(generation.root()).known.push_back(&tls);
  warn_of_end(tls.current(), [&](const std::string& text) { generation.warn(text); });
}

std::vector<CertificateEnd> certificate_ends(Generation& generation) {
  std::vector<CertificateEnd> ends;
  for (const HotTls* tls : conf<HotConf>(generation.root()).known) {
    for_each_certificate(tls->current(), [&](X509& certificate) {
      CertificateEnd one{subject_text(certificate, NameFormat::rfc2253), serial_text(certificate),
                         seconds_of(X509_get0_notAfter(&certificate))};
      bool is_new = std::none_of(ends.begin(), ends.end(), [&](const CertificateEnd& other) {
        return other.serial == one.serial && other.subject == one.subject;
      });
      if (is_new) ends.push_back(std::move(one));
    });
  }
  return ends;
}

void keep_hot(Generation& generation, const Block& block, HotTls& tls) {
  std::vector<HotTls*>& all = conf<HotConf>(generation.root()).all;
  bool is_wanted = conf<HotConf>(block).watch && !tls.sources().empty();
  if (is_wanted && std::find(all.begin(), all.end(), &tls) == all.end()) all.push_back(&tls);
}

constinit const Module tls_hot_module = {.name = "tls_hot", .conf = conf_of<HotConf>, .directives = rows, .event = &hooks};

}  // namespace fairlead
