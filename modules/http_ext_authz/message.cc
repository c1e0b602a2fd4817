// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_ext_authz/message.h"

#include <map>

#include "check.pb.h"
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/base/utf8.h"

namespace fairlead::http::ext_authz {
namespace {

namespace proto = fairlead::ext_authz;

constexpr size_t frame_bytes = 5;  // a flag, and the length in four bytes

// A string of a message must be UTF-8, or a strict reader drops all of it.
std::string valid(std::string_view text) { return as_utf8(text, '!'); }

void set_address(const Addr& from, proto::Address& to) {
  if (from.family() == Addr::Family::local) {
    to.mutable_pipe()->set_path(valid(from.bytes()));
    return;
  }
  to.mutable_socket_address()->set_address(from.host_text());
  to.mutable_socket_address()->set_port_value(from.port());
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

template <class Entries>
void add_entry(Entries* entries, std::string_view key, std::string_view value) {
  auto* entry = entries->Add();
  entry->set_key(valid(key));
  entry->set_value(valid(value));
}

void fill_http(const Asked& asked, proto::HttpRequest& http) {
  http.set_id(valid(asked.id));
  http.set_method(valid(asked.method));
  http.set_path(valid(asked.path));
  http.set_host(valid(asked.host));
  http.set_scheme(valid(asked.scheme));
  http.set_protocol(valid(asked.protocol));
  http.set_size(asked.body_bytes);
  if (is_utf8(asked.body)) http.set_body(std::string(asked.body));
  else http.set_raw_body(std::string(asked.body));
  for (const auto& [name, value] : merged(asked)) add_entry(http.mutable_headers(), name, value);
}

FieldChange change_of(const proto::HeaderValueOption& option) {
  FieldChange change;
  change.name = option.header().key();
  change.value = option.header().raw_value().empty() ? option.header().value() : option.header().raw_value();
  // Without `append` a field takes the place of the client's, as the messages say; an action that cannot be told from the default, too.
  if (option.has_append()) change.how = option.append().value() ? FieldChange::How::append : FieldChange::How::set;
  else if (option.append_action() == 1) change.how = FieldChange::How::if_absent;
  else if (option.append_action() == 3) change.how = FieldChange::How::if_present;
  return change;
}

template <class Options>
std::vector<FieldChange> changes_of(const Options& options) {
  std::vector<FieldChange> changes;
  for (const proto::HeaderValueOption& option : options) changes.push_back(change_of(option));
  return changes;
}

Answer denied_of(const proto::CheckResponse& response) {
  Answer answer;
  answer.kind = Answer::Kind::denied;
  if (!response.has_denied_response()) return answer;
  const proto::DeniedResponse& denied = response.denied_response();
  int status = denied.status().code();
  if (status >= 300 && status <= 599) answer.status = static_cast<uint16_t>(status);
  answer.body = denied.body();
  answer.to_client = changes_of(denied.headers());
  return answer;
}

}  // namespace

std::string encode_check(const Asked& asked) {
  proto::CheckRequest request;
  proto::Attributes& attributes = *request.mutable_attributes();
  set_address(asked.source, *attributes.mutable_source()->mutable_address());
  attributes.mutable_source()->set_principal(valid(asked.source_principal));
  attributes.mutable_source()->set_certificate(valid(asked.source_certificate));
  set_address(asked.destination, *attributes.mutable_destination()->mutable_address());
  attributes.mutable_destination()->set_principal(valid(asked.destination_principal));
  attributes.mutable_request()->mutable_time()->set_seconds(asked.wall_ms / 1000);
  attributes.mutable_request()->mutable_time()->set_nanos(static_cast<int32_t>(asked.wall_ms % 1000 * 1'000'000));
  fill_http(asked, *attributes.mutable_request()->mutable_http());
  for (const auto& [name, value] : asked.context) add_entry(attributes.mutable_context_extensions(), name, value);
  std::string message = request.SerializeAsString();
  auto size = static_cast<uint32_t>(message.size());
  std::string framed(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) framed += static_cast<char>(size >> shift & 0xff);
  return framed + message;
}

Answer decode_check(std::string_view framed) {
  if (framed.size() < frame_bytes) return failed("the service gave no whole message");
  if (framed[0] != 0) return failed("the service gave a compressed message");
  uint64_t size = 0;
  for (size_t i = 1; i < frame_bytes; ++i) size = size << 8 | static_cast<unsigned char>(framed[i]);
  framed.remove_prefix(frame_bytes);
  if (framed.size() != size) return failed("the service gave other than one message");
  proto::CheckResponse response;
  if (!response.ParseFromArray(framed.data(), static_cast<int>(framed.size()))) return failed("the service gave a broken message");
  // Code 0 need not be written, but an empty message, the answer of a method that nobody filled in, lets nobody in.
  if (!response.has_status() && !response.has_ok_response()) return failed("the service gave no answer");
  if (response.status().code() != 0) return denied_of(response);
  if (response.has_denied_response()) return failed("the service gave status 0 with a denial");
  Answer answer;
  answer.kind = Answer::Kind::allowed;
  const proto::OkResponse& ok = response.ok_response();
  answer.to_upstream = changes_of(ok.headers());
  answer.to_client = changes_of(ok.response_headers_to_add());
  for (const std::string& name : ok.headers_to_remove()) answer.removed.push_back(name);
  return answer;
}

}  // namespace fairlead::http::ext_authz
