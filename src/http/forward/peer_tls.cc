// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/peer_tls.h"

#include "core/base/format.h"
#include "event/tls/handshake.h"
#include "http/request/secure.h"

namespace fairlead::http {

Task<bool> PeerTls::find_certificate(SSL& ssl) {
  TlsHandshake handshake(ssl);
  co_return co_await run_tls_hooks(TlsPoint::peer_certificate, request_, handshake);
}

Task<bool> PeerTls::verify(TlsHandshake& handshake) { return run_tls_hooks(TlsPoint::peer_verify, request_, handshake); }

void ask_hooks(Request& request, TlsTarget& target, std::string_view& key) {
  const Plan& plan = request.location->plan;
  if (!plan.has_tls(TlsPoint::peer_certificate) && !plan.has_tls(TlsPoint::peer_verify)) return;
  target.questions = request.arena().make<PeerTls>(request);
  key = request.arena().join({key, "|", request.arena().copy(format("{}", static_cast<const void*>(request.location)))});
}

}  // namespace fairlead::http
