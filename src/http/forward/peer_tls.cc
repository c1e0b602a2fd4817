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

HookedTls ask_hooks(Request& request, TlsTarget& target, std::string_view& key) {
  const Plan& plan = request.location->plan;
  bool chooses = plan.has_tls(TlsPoint::peer_certificate);
  if (!chooses && !plan.has_tls(TlsPoint::peer_verify)) return HookedTls::no;
  target.questions = request.arena().make<PeerTls>(request);
  key = request.arena().join({key, "|", request.arena().copy(format("{}", static_cast<const void*>(request.location)))});
  return chooses ? HookedTls::per_request : HookedTls::per_location;
}

}  // namespace fairlead::http
