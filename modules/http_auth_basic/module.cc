// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// http_auth_basic: name and password of the Authorization field against a file of users (RFC 7617). The file is read for each request, so
// that a change holds at once; reading and hashing happen on a file thread, since good hashes are slow ones.
#include <cerrno>

#include "core/base/format.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "core/conf/template.h"
#include "event/file/blocking.h"
#include "event/worker.h"
#include "http/hooks.h"
#include "http/message/basic_credentials.h"
#include "http/request/audit.h"
#include "http/request/request.h"
#include "http/request/response.h"
#include "modules/http_auth_basic/password.h"

namespace fairlead::http::auth_basic {
namespace {

constexpr std::string_view check_name = "auth_basic";

struct AuthBasicConf {
  Template realm;
  Template user_file;
};

bool is_wanted(const Block& block) {
  const AuthBasicConf& own = conf<AuthBasicConf>(block);
  bool is_off = own.realm.is_literal() && own.realm.literal() == "off";
  return own.realm.is_set() && !is_off && own.user_file.is_set();
}

Verdict challenge(Request& request, std::string_view realm) {
  std::string field = format("Basic realm=\"{}\"", realm);
  if (!is_field_value(field)) {
    request.logger.error("the realm of auth_basic has control characters");
    return Verdict::status(500);
  }
  add_challenge(request, field);
  return Verdict::status(401);
}

Verdict failed(Request& request, unsigned status, std::string_view rule, const Login& login) {
  audit(request, {check_name, Decided::failed, rule, login.user});
  return Verdict::status(status);
}

Verdict decide(Request& request, const Outcome& outcome, const Login& login, const std::string& path) {
  bool known = outcome.checked != Checked::no_user;
  switch (outcome.checked) {
    case Checked::ok: audit(request, {check_name, Decided::allowed, "user", login.user}); return Verdict::allow();
    case Checked::no_user: request.logger.error("user \"{}\" was not found in \"{}\"", login.user, path); break;
    case Checked::mismatch: request.logger.error("user \"{}\": password mismatch", login.user); break;
    case Checked::open_failed:
      if (outcome.err == ENOENT) {
        request.logger.error(Errno{outcome.err}, "open() \"{}\" failed", path);
        return failed(request, 403, "user file", login);
      }
      request.logger.crit(Errno{outcome.err}, "open() \"{}\" failed", path);
      return failed(request, 500, "user file", login);
    case Checked::read_failed:
      request.logger.crit(Errno{outcome.err}, "read() \"{}\" failed", path);
      return failed(request, 500, "user file", login);
  }
  audit(request, {check_name, Decided::denied, known ? "password" : "no user", login.user});
  return challenge(request, conf<AuthBasicConf>(request).realm.evaluate(request));
}

// What a file thread does; it owns its texts.
struct CheckLogin {
  Login login;
  std::string path;
  Outcome operator()() const { return check_login(login, path); }
};

Task<Verdict> check(Request& request) {
  const AuthBasicConf& own = conf<AuthBasicConf>(request);
  std::string_view realm = own.realm.evaluate(request);
  if (realm == "off") co_return Verdict::next();
  auto credentials = parse_basic_credentials(request.head.headers.value(KnownHeader::authorization));
  if (!credentials) {
    request.logger.info("no user/password was provided for basic authentication");
    audit(request, {check_name, Decided::challenged, "no user", {}});
    co_return challenge(request, realm);
  }
  Login login{std::move(credentials->user), std::move(credentials->password)};
  std::string path(request.generation().absolute_conf_path_in(own.user_file.evaluate(request), request.arena()));
  auto checking = blocking(request.worker().files(), CheckLogin{login, path});
  auto outcome = co_await checking;
  if (!outcome) {
    request.logger.error("the password of \"{}\" could not be checked: {}", login.user, outcome.error().what);
    co_return failed(request, 503, "busy", login);
  }
  co_return decide(request, *outcome, login, path);
}

constexpr Directive rows[] = {
    slot<AuthBasicConf, &AuthBasicConf::realm>(
        "auth_basic", in_http_any | in_limit_except,
        "The realm that a name and a password are asked for, by HTTP Basic authentication; \"off\": none are.").usual("off"),
    slot<AuthBasicConf, &AuthBasicConf::user_file>(
        "auth_basic_user_file", in_http_any | in_limit_except,
        "The file of names and hashed passwords (crypt, bcrypt, apr1, SHA, SSHA, PLAIN), below the folder of the configuration file."),
};

constexpr std::string_view after[] = {"access"};  // an address costs less to look at than a hash
constexpr PhaseEntry phases[] = {{.phase = Phase::access, .run = &check, .applies = &is_wanted}};
constexpr Hooks hooks = {.phases = phases};

}  // namespace
}  // namespace fairlead::http::auth_basic

namespace fairlead {

extern constinit const Module http_auth_basic_module = {
    .name = "http_auth_basic",
    .conf = conf_of<http::auth_basic::AuthBasicConf>,
    .directives = http::auth_basic::rows,
    .after = http::auth_basic::after,
    .http = &http::auth_basic::hooks,
};

}  // namespace fairlead
