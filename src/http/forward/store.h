// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// StoredBody: a reply's body that leaves a copy of itself on the disk (proxy_store): written to a temporary file as it passes, put in its
// place when it has come to its end, and not before. Whether a reply is stored, and where, is decided in relay.cc. Lies in the arena of the
// request; what it reads from outlives it. A disk that fails ends the copy, never the body.
#pragma once

#include "event/file/spool_file.h"
#include "http/forward/conf.h"
#include "http/message/body.h"
#include "http/request/request.h"

namespace fairlead::http {

class StoredBody final : public Body {
 public:
  // `temp`: where the file is until it is whole; outlives this, as `source` does.
  StoredBody(Request& request, Body& source, const TempPath& temp, FilePlace place);

  Poll poll(Chunk& chunk) override;
  Task<Result<Unit>> ready() override;
  std::optional<uint64_t> size() const override { return source_.size(); }
  Error error() const override { return source_.error(); }
  const Headers* trailers() const override { return source_.trailers(); }

  // Reads on to the end though nobody wants the bytes: the client has left, or has the file already.
  Task<Unit> drain();

 private:
  bool is_due() const { return stores_ && waiting_.size() >= bytes_per_write; }
  Task<Unit> write_out();
  Task<Unit> put_in_place();
  void give_up(const Error& error);

  static constexpr size_t bytes_per_write = 64 * 1024;

  Request& request_;
  Body& source_;
  SpoolPath path_;
  SpoolFile file_;
  FilePlace place_;
  Chain waiting_;         // for the next write
  bool stores_ = true;    // until it is in its place, or something failed
  bool ended_ = false;    // the source has come to its end
};

// Where a reply goes by proxy_store, or nothing: its status is not 200, it has no body, or there is no path.
std::optional<FilePlace> store_place(Request& request, const ForwardConf& conf, const ResponseHead& reply);

}  // namespace fairlead::http
