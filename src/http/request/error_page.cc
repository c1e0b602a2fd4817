// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/request/error_page.h"

#include "core/base/escape.h"
#include "http/conf/core_conf.h"
#include "http/message/status.h"
#include "http/message/uri.h"
#include "http/request/browser.h"
#include "http/request/content_type.h"
#include "http/request/identity.h"
#include "http/request/lead_on.h"
#include "http/request/response.h"

namespace fairlead::http {

// After these the connection is not kept: the rest of what the client sent cannot be trusted, or must not be read.
static bool ends_connection(unsigned status) {
  switch (status) {
    case 400: case 413: case 414: case 494: case 495: case 496: case 497: case 500: case 501: return true;
    default: return false;
  }
}

static const ErrorPage* find_page(const Request& request, unsigned status) {
  for (const ErrorPage& page : conf<CoreConf>(request).error_pages)
    if (page.status == status) return &page;
  return nullptr;
}

std::optional<Verdict> take_error_page(Request& request, unsigned status) {
  if (request.in_error_page || !request.location) return std::nullopt;
  const ErrorPage* page = find_page(request, status);
  if (!page) return std::nullopt;
  if (ends_connection(status)) request.response.keep_alive = false;
  request.in_error_page = !conf<CoreConf>(request).recursive_error_pages;
  request.led_by_error_page = true;
  std::string_view uri = page->uri.evaluate(request);
  if (uri.empty()) return std::nullopt;
  request.error_status = static_cast<uint16_t>(page->overwrite >= 0 ? page->overwrite : static_cast<int>(wire_status(status)));
  if (!request.error_status) request.response.head.status = 0;  // "=": what answers says which it is
  if (uri[0] == '@') return lead_on(request, uri, {});
  if (uri[0] == '/') {
    if (request.method != Method::head) {
      request.method = Method::get;
      request.method_text = "GET";
    }
    return lead_on(request, uri, page->uri.is_literal() ? std::string_view() : "");
  }
  set_location(request, uri);
  unsigned redirect = is_redirect(request.error_status) ? request.error_status : 302;
  request.error_status = 0;
  return Verdict::status(redirect);
}

// What stands below the title of the codes that exist inside only.
static std::string_view inner_reason(unsigned status) {
  switch (status) {
    case 494: return "Request Header Or Cookie Too Large";
    case 495: return "The SSL certificate error";
    case 496: return "No required SSL certificate was sent";
    case 497: return "The plain HTTP request was sent to HTTPS port";
    default: return {};
  }
}

// msie_padding: browsers that take a small page for none and show one of their own. Six lines make it large enough.
static std::string_view padding(const Request& request, unsigned status) {
#define FL_PADDING_LINE "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n"
  constexpr std::string_view lines =
      FL_PADDING_LINE FL_PADDING_LINE FL_PADDING_LINE FL_PADDING_LINE FL_PADDING_LINE FL_PADDING_LINE;
#undef FL_PADDING_LINE
  if (status < 400 || request.head.version_major == 0 || !conf<CoreConf>(request).msie_padding) return {};
  Browser browser = browser_of(request.head.headers.value(KnownHeader::user_agent));
  return browser.msie || browser.chrome ? lines : std::string_view();
}

// msie_refresh: MSIE gets a redirect as a page that leads on. False: it is not for this response.
static bool set_refresh_page(Request& request, unsigned status) {
  if ((status != 301 && status != 302) || !conf<CoreConf>(request).msie_refresh) return false;
  Headers& headers = request.response.head.headers;
  if (!headers.has(KnownHeader::location) || !browser_of(request.head.headers.value(KnownHeader::user_agent)).msie) return false;
  std::string_view to = escaped(Escape::uri_in_refresh, headers.value(KnownHeader::location), request.arena());
  headers.remove(KnownHeader::location);
  set_text(request, 200, "text/html",
           request.arena().join({"<html><head><meta http-equiv=\"Refresh\" content=\"0; URL=", to, "\"></head><body></body></html>\r\n"}));
  return true;
}

// It says nothing any more of the content that it would have had.
static void set_status(Response& response, unsigned status) {
  if (ends_connection(status)) response.keep_alive = false;
  response.head.status = static_cast<uint16_t>(wire_status(status));
  response.last_modified = -1;
  response.etag = {};
  response.allow_ranges = false;
  response.is_error_page = true;
  response.head.headers.remove(KnownHeader::accept_ranges);
  response.head.headers.remove(KnownHeader::content_encoding);
}

void set_status_alone(Request& request, unsigned status) {
  Response& response = request.response;
  set_status(response, status);
  response.head.framing.content_length = no_length;
  if (response.content_type.empty()) response.content_type = content_type_of(request);
  response.head_only = true;
  response.body = request.arena().make<EmptyBody>();
}

void set_built_in_page(Request& request, unsigned status) {
  Response& response = request.response;
  set_status(response, status);
  unsigned shown = response.head.status;
  std::string_view line = status_line(shown);
  if (shown < 300 || shown == 304 || line.size() < 11) {  // no page: the codes without a phrase, and those that carry none
    response.head.framing.content_length = shown == 304 || shown == 204 ? no_length : 0;
    response.content_type = {};
    response.body = request.arena().make<EmptyBody>();
    return;
  }
  std::string_view title = line.substr(9, line.size() - 11);  // between "HTTP/1.1 " and CRLF
  if (set_refresh_page(request, shown)) return;
  if (shown == 302) title = "302 Found";                      // nginx's page does not say what its status line says
  if (shown == 401) title = "401 Authorization Required";     // likewise
  std::string_view inner = inner_reason(status);
  std::string_view tokens = server_header(conf<CoreConf>(request).server_tokens);
  std::string_view more = inner.empty() ? std::string_view() : request.arena().join({"<center>", inner, "</center>\r\n"});
  std::string_view page = request.arena().join({"<html>\r\n<head><title>", inner.empty() ? title : request.arena().join({"400 ", inner}),
                                                "</title></head>\r\n<body>\r\n<center><h1>", title, "</h1></center>\r\n", more,
                                                "<hr><center>", tokens, "</center>\r\n</body>\r\n</html>\r\n",
                                                padding(request, status)});
  set_text(request, shown, "text/html", page);
}

}  // namespace fairlead::http
