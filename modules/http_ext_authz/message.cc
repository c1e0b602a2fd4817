// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_ext_authz/message.h"

#include <map>

#include "core/base/format.h"
#include "core/base/protobuf.h"
#include "core/base/text.h"
#include "core/base/utf8.h"

namespace fairlead::http::ext_authz {
namespace {

constexpr char no_character = '!';  // in place of a byte that is not UTF-8

// Numbers of fields, by message, of envoy.service.auth.v3 and what it embeds.
namespace socket_address { constexpr uint32_t address = 2, port_value = 3; }
namespace pipe_field { constexpr uint32_t path = 1; }
namespace address_field { constexpr uint32_t socket_address = 1, pipe = 2; }
namespace map_entry { constexpr uint32_t key = 1, value = 2; }
namespace peer_field { constexpr uint32_t address = 1, principal = 4, certificate = 5; }
namespace timestamp { constexpr uint32_t seconds = 1, nanos = 2; }
namespace http_request {
constexpr uint32_t id = 1, method = 2, headers = 3, path = 4, host = 5, scheme = 6, size = 9, protocol = 10, body = 11, raw_body = 12;
}
namespace request_field { constexpr uint32_t time = 1, http = 2; }
namespace attribute_context { constexpr uint32_t source = 1, destination = 2, request = 4, context_extensions = 10; }
namespace check_request { constexpr uint32_t attributes = 1; }
namespace check_response { constexpr uint32_t status = 1, denied_response = 2, ok_response = 3; }
namespace rpc_status { constexpr uint32_t code = 1; }
namespace denied_response { constexpr uint32_t status = 1, headers = 2, body = 3; }
namespace http_status { constexpr uint32_t code = 1; }
namespace ok_response { constexpr uint32_t headers = 2, headers_to_remove = 5, response_headers_to_add = 6; }
namespace header_option { constexpr uint32_t header = 1, append = 2, append_action = 3; }
namespace header_value { constexpr uint32_t key = 1, value = 2, raw_value = 3; }
namespace bool_value { constexpr uint32_t value = 1; }

// ---- the call

void write_text(ProtoWriter& to, uint32_t field, std::string_view text) {
  if (!text.empty()) to.text(field, text, no_character);
}

void write_address(ProtoWriter& to, const Addr& from) {
  if (from.family() == Addr::Family::local) {
    to.message(address_field::pipe, [&] { write_text(to, pipe_field::path, from.bytes()); });
    return;
  }
  to.message(address_field::socket_address, [&] {
    to.bytes(socket_address::address, from.host_text());
    to.number(socket_address::port_value, from.port());
  });
}

void write_peer(ProtoWriter& to, const Addr& address, std::string_view principal, std::string_view certificate) {
  to.message(peer_field::address, [&] { write_address(to, address); });
  write_text(to, peer_field::principal, principal);
  write_text(to, peer_field::certificate, certificate);
}

// Fields of one name as one text, names in lower case, as the message wants them.
std::map<std::string, std::string> merged(const Asked& asked) {
  std::map<std::string, std::string> fields;
  for (const auto& [name, value] : asked.fields) {
    std::string key(name);
    lower_into(key.data(), name);
    if (key == "host") continue;  // it is :authority
    auto [at, is_new] = fields.try_emplace(key, value);
    if (!is_new) at->second.append(key == "cookie" ? "; " : ",").append(value);
  }
  fields[":method"] = asked.method;
  fields[":path"] = asked.path;
  fields[":authority"] = asked.host;
  fields[":scheme"] = asked.scheme;
  return fields;
}

void write_entry(ProtoWriter& to, uint32_t field, std::string_view key, std::string_view value) {
  to.message(field, [&] {
    to.text(map_entry::key, key, no_character);
    to.text(map_entry::value, value, no_character);
  });
}

void write_http(ProtoWriter& to, const Asked& asked) {
  write_text(to, http_request::id, asked.id);
  write_text(to, http_request::method, asked.method);
  for (const auto& [name, value] : merged(asked)) write_entry(to, http_request::headers, name, value);
  write_text(to, http_request::path, asked.path);
  write_text(to, http_request::host, asked.host);
  write_text(to, http_request::scheme, asked.scheme);
  if (asked.body_bytes != 0) to.number(http_request::size, static_cast<uint64_t>(asked.body_bytes));
  write_text(to, http_request::protocol, asked.protocol);
  if (!asked.body.empty()) to.bytes(is_utf8(asked.body) ? http_request::body : http_request::raw_body, asked.body);
}

void write_request(ProtoWriter& to, const Asked& asked) {
  to.message(request_field::time, [&] {
    to.number(timestamp::seconds, static_cast<uint64_t>(asked.wall_ms / 1000));
    to.number(timestamp::nanos, static_cast<uint64_t>(asked.wall_ms % 1000 * 1'000'000));
  });
  to.message(request_field::http, [&] { write_http(to, asked); });
}

// ---- the reply

// `each(ProtoReader&)` for each field, until it finds something broken. False: the message is.
template <class Each>
bool each_field(std::string_view message, Each each) {
  ProtoReader in(message);
  while (in.next())
    if (!each(in)) return false;
  return !in.is_broken();
}

// A field that was declared as a number, or as something with a length: of another type it is not the one that is meant.
bool is_number(const ProtoReader& in, uint32_t field) { return in.field() == field && in.is_number(); }
bool is_bytes(const ProtoReader& in, uint32_t field) { return in.field() == field && !in.is_number(); }

bool read_number(std::string_view message, uint32_t field, int32_t& value) {
  return each_field(message, [&](const ProtoReader& in) {
    if (is_number(in, field)) value = static_cast<int32_t>(in.number());
    return true;
  });
}

bool read_header(std::string_view message, FieldChange& change) {
  std::string_view value, raw_value;
  bool good = each_field(message, [&](const ProtoReader& in) {
    if (is_bytes(in, header_value::key)) change.name = in.bytes();
    if (is_bytes(in, header_value::value)) value = in.bytes();
    if (is_bytes(in, header_value::raw_value)) raw_value = in.bytes();
    return true;
  });
  change.value = raw_value.empty() ? value : raw_value;
  return good;
}

bool add_change(std::string_view message, std::vector<FieldChange>& to) {
  FieldChange change;
  bool has_append = false;
  int32_t append = 0, action = 0;
  bool good = each_field(message, [&](const ProtoReader& in) {
    if (is_bytes(in, header_option::header)) return read_header(in.bytes(), change);
    if (is_number(in, header_option::append_action)) action = static_cast<int32_t>(in.number());
    if (!is_bytes(in, header_option::append)) return true;
    has_append = true;
    return read_number(in.bytes(), bool_value::value, append);
  });
  // Without `append` a field takes the place of the client's, as the messages say; an action that cannot be told from the default, too.
  if (has_append) change.how = append != 0 ? FieldChange::How::append : FieldChange::How::set;
  else if (action == 1) change.how = FieldChange::How::if_absent;
  else if (action == 3) change.how = FieldChange::How::if_present;
  to.push_back(std::move(change));
  return good;
}

// A CheckResponse. Of its two kinds of consent and denial the last one that it names holds.
struct Reply {
  bool has_status = false, has_denied = false, has_ok = false;
  int32_t code = 0, denied_status = 0;
  Answer denied, ok;
};

bool read_denied(std::string_view message, Reply& reply) {
  if (!reply.has_denied) reply.denied = Answer();
  reply.has_denied = true;
  reply.has_ok = false;
  return each_field(message, [&](const ProtoReader& in) {
    if (is_bytes(in, denied_response::body)) reply.denied.body = in.bytes();
    if (is_bytes(in, denied_response::status)) return read_number(in.bytes(), http_status::code, reply.denied_status);
    return !is_bytes(in, denied_response::headers) || add_change(in.bytes(), reply.denied.to_client);
  });
}

bool read_ok(std::string_view message, Reply& reply) {
  if (!reply.has_ok) reply.ok = Answer();
  reply.has_ok = true;
  reply.has_denied = false;
  return each_field(message, [&](const ProtoReader& in) {
    if (is_bytes(in, ok_response::headers_to_remove)) reply.ok.removed.emplace_back(in.bytes());
    if (is_bytes(in, ok_response::headers)) return add_change(in.bytes(), reply.ok.to_upstream);
    return !is_bytes(in, ok_response::response_headers_to_add) || add_change(in.bytes(), reply.ok.to_client);
  });
}

bool read_reply(std::string_view message, Reply& reply) {
  return each_field(message, [&](const ProtoReader& in) {
    if (is_bytes(in, check_response::denied_response)) return read_denied(in.bytes(), reply);
    if (is_bytes(in, check_response::ok_response)) return read_ok(in.bytes(), reply);
    if (!is_bytes(in, check_response::status)) return true;
    reply.has_status = true;
    return read_number(in.bytes(), rpc_status::code, reply.code);
  });
}

Answer denied_of(Reply& reply) {
  Answer answer = reply.has_denied ? std::move(reply.denied) : Answer();
  answer.kind = Answer::Kind::denied;
  bool is_status = reply.has_denied && reply.denied_status >= 300 && reply.denied_status <= 599;
  if (is_status) answer.status = static_cast<uint16_t>(reply.denied_status);
  return answer;
}

}  // namespace

std::string encode_check(const Asked& asked) {
  std::string message;
  ProtoWriter to(message);
  to.message(check_request::attributes, [&] {
    to.message(attribute_context::source, [&] { write_peer(to, asked.source, asked.source_principal, asked.source_certificate); });
    to.message(attribute_context::destination, [&] { write_peer(to, asked.destination, asked.destination_principal, {}); });
    to.message(attribute_context::request, [&] { write_request(to, asked); });
    for (const auto& [name, value] : asked.context) write_entry(to, attribute_context::context_extensions, name, value);
  });
  return grpc_framed(message);
}

Answer decode_check(std::string_view framed) {
  Unframed unframed = grpc_unframed(framed);
  if (unframed.wrong) return failed(format("the service {}", unframed.wrong));
  Reply reply;
  if (!read_reply(unframed.message, reply)) return failed("the service gave a broken message");
  // Code 0 need not be written, but an empty message, the answer of a method that nobody filled in, lets nobody in.
  if (!reply.has_status && !reply.has_ok) return failed("the service gave no answer");
  if (reply.code != 0) return denied_of(reply);
  if (reply.has_denied) return failed("the service gave status 0 with a denial");
  Answer answer = std::move(reply.ok);
  answer.kind = Answer::Kind::allowed;
  return answer;
}

}  // namespace fairlead::http::ext_authz
