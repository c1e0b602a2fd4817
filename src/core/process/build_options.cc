// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "core/process/build_options.h"

#include "build_config.h"
#include "core/base/format.h"
#include "core/conf/module.h"

namespace fairlead {

std::string configure_options() {
  std::string options = build_config::configure_arguments;
  auto add = [&](std::string_view option) {
    if (options.find(option) == std::string::npos) options += format("{}{}", options.empty() ? "" : " ", option);
  };
  // nginx's names of what is there beyond its standard modules, and of those standard ones that are not, for scripts that look.
  for (std::string_view option : {"--with-threads", "--with-pcre", "--with-pcre-jit"}) add(option);
  for (std::string_view name : {"realip", "addition", "auth_request", "ssl", "v2", "stub_status", "sub", "gunzip", "gzip_static",
                                "random_index", "secure_link", "slice"})
    if (modules().find(format("http_{}", name)) || modules().find(name)) add(format("--with-http_{}_module", name));
#ifdef FAIRLEAD_DEBUG
  add("--with-debug");
#endif
  for (std::string_view name : {"charset", "ssi", "userid", "auth_basic", "mirror", "autoindex", "limit_conn", "limit_req", "grpc",
                                "fastcgi", "uwsgi", "scgi", "memcached", "empty_gif", "browser", "referer"})
    if (!modules().find(format("http_{}", name)) && !modules().find(name)) add(format("--without-http_{}_module", name));
  add("--without-http-cache");
  return options;
}

}  // namespace fairlead
