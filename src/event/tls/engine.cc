// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "event/tls/engine.h"

#include <string>

#ifndef OPENSSL_NO_ENGINE
#include <openssl/engine.h>
#endif

#include "core/base/format.h"
#include "core/conf/line.h"
#include "event/tls/openssl.h"

namespace fairlead {

namespace {

struct EngineConf {};

// Of the process, and so of all generations that are loaded into it: OpenSSL has one set of defaults.
ConfResult<Unit> set_engine(Line& line, EngineConf&) {
#ifndef OPENSSL_NO_ENGINE
  std::string name(line.word(1));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  ENGINE* engine = ENGINE_by_id(name.c_str());
  if (!engine) return openssl_failure(format("ENGINE_by_id(\"{}\")", name));
  // Without its methods for keys: those it makes itself bring them along, all others are the software's.
  int done = ENGINE_set_default(engine, ENGINE_METHOD_ALL & ~(ENGINE_METHOD_PKEY_METHS | ENGINE_METHOD_PKEY_ASN1_METHS));
  ENGINE_free(engine);
#pragma GCC diagnostic pop
  if (!done) return openssl_failure(format("ENGINE_set_default(\"{}\", ENGINE_METHOD_ALL)", name));
  return Unit();
#else
  return line.directive_reason("is not supported on this platform");
#endif
}

constexpr Directive rows[] = {
    custom<set_engine, EngineConf>("ssl_engine", in_main, words(1), "The OpenSSL engine that does what it can.").takes("device"),
};

}  // namespace

constinit const Module tls_engine_module = {
    .name = "tls_engine",
    .conf = conf_of<EngineConf>,
    .directives = rows,
};

}  // namespace fairlead
