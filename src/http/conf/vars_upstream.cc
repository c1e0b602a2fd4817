// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Variables of the tries on peers and of the last reply. A list has an entry per try: between them ", ", or " : " where another group
// begins.
#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/session_vars.h"
#include "http/conf/variables.h"
#include "http/request/request.h"

namespace fairlead::http {
namespace {

std::string_view name_of(uintptr_t datum) { return *reinterpret_cast<const std::string_view*>(datum); }

// The longest entry that is not a view of something.
constexpr size_t entry_bytes_max = 24;
struct Entry {
  char room[entry_bytes_max];
  std::string_view text = "-";
};
using WriteEntry = void (*)(const TryRecord& record, Entry& entry);

void set_number(Entry& entry, uint64_t number) { entry.text = format_into(entry.room, sizeof entry.room, "{}", number); }
// A phase that was not reached is a dash.
void set_time(Entry& entry, int64_t ms) {
  if (ms >= 0) entry.text = format_into(entry.room, sizeof entry.room, "{}.{:03}", ms / 1000, ms % 1000);
}

void write_peer(const TryRecord& record, Entry& entry) { entry.text = record.peer; }
void write_status(const TryRecord& record, Entry& entry) {
  if (record.status) set_number(entry, record.status);
}
void write_queue_time(const TryRecord& record, Entry& entry) { set_time(entry, record.queue_ms); }
void write_connect_time(const TryRecord& record, Entry& entry) { set_time(entry, record.connect_ms); }
void write_header_time(const TryRecord& record, Entry& entry) { set_time(entry, record.header_ms); }
void write_response_time(const TryRecord& record, Entry& entry) { set_time(entry, record.response_ms); }
void write_body_bytes(const TryRecord& record, Entry& entry) { set_number(entry, record.body_bytes); }
void write_sent_bytes(const TryRecord& record, Entry& entry) { set_number(entry, record.sent_bytes); }
void write_received_bytes(const TryRecord& record, Entry& entry) { set_number(entry, record.received_bytes); }
void write_reason(const TryRecord& record, Entry& entry) {
  if (!record.reason.empty()) entry.text = record.reason;
}

template <WriteEntry Write>
Value get_list(Session& session, uintptr_t) {
  Request& request = as_request(session);
  if (!request.tries) return Value::missing();
  Entry entry;
  if (!request.tries->next) {
    Write(*request.tries, entry);
    return text_value(session, entry.text);
  }
  std::string list;
  for (const TryRecord* record = request.tries; record; record = record->next) {
    if (record != request.tries) list += record->new_group ? " : " : ", ";
    entry.text = "-";
    Write(*record, entry);
    list += entry.text;
  }
  return text_value(session, list);
}

Value get_field(Session& session, uintptr_t datum) {
  const Headers* headers = as_request(session).upstream_headers;
  return headers ? field_value(*headers, name_of(datum)) : Value::missing();
}
Value get_trailer(Session& session, uintptr_t datum) {
  const Headers* trailers = as_request(session).upstream_trailers;
  return trailers ? field_value(*trailers, name_of(datum)) : Value::missing();
}

// RFC 6265 section 4.1: the first pair of a Set-Cookie is name and value.
Value get_cookie(Session& session, uintptr_t datum) {
  const Headers* headers = as_request(session).upstream_headers;
  if (!headers) return Value::missing();
  std::string_view name = name_of(datum);
  for (const Headers::Field* field = headers->find(KnownHeader::set_cookie); field; field = headers->next_same(*field)) {
    std::string_view pair = field->value.substr(0, field->value.find(';'));
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos || !equal_nocase(trim(pair.substr(0, equals)), name)) continue;
    return Value{trim_front(pair.substr(equals + 1))};
  }
  return Value::missing();
}

// Without a cache nothing has a status in one: what nginx says of a request that no cache had a part in. Published log formats carry it.
Value get_cache_status(Session&, uintptr_t) { return Value::missing(); }

Value get_fail_reason(Session& session, uintptr_t) {
  std::string_view reason = as_request(session).fail_reason;
  return reason.empty() ? Value::missing() : Value{reason};
}

// Of the try under way, for rules about where to: the address alone, so that `geo` takes it.
Value get_last_addr(Session& session, uintptr_t) {
  const TryRecord* record = as_request(session).last_try();
  if (!record) return Value::missing();
  std::string_view peer = record->peer;
  if (peer.starts_with("unix:")) return Value{peer};
  std::string_view host = peer.substr(0, peer.rfind(':'));
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return Value{host};
}

constexpr VariableDef upstream_variables[] = {
    {"upstream_last_addr", get_last_addr, variable_volatile, http_variable},
    {"upstream_addr", get_list<write_peer>, variable_volatile, http_variable},
    {"upstream_status", get_list<write_status>, variable_volatile, http_variable},
    {"upstream_queue_time", get_list<write_queue_time>, variable_volatile | variable_changeable, http_variable},
    {"upstream_connect_time", get_list<write_connect_time>, variable_volatile, http_variable},
    {"upstream_header_time", get_list<write_header_time>, variable_volatile, http_variable},
    {"upstream_response_time", get_list<write_response_time>, variable_volatile, http_variable},
    {"upstream_response_length", get_list<write_body_bytes>, variable_volatile, http_variable},
    {"upstream_bytes_sent", get_list<write_sent_bytes>, variable_volatile, http_variable},
    {"upstream_bytes_received", get_list<write_received_bytes>, variable_volatile, http_variable},
    {"upstream_cache_status", get_cache_status, 0, http_variable},
    {"upstream_fail_reason", get_list<write_reason>, variable_volatile | variable_changeable, http_variable},
    {"upstream_http_", get_field, variable_volatile | variable_prefix, http_variable},
    {"upstream_trailer_", get_trailer, variable_volatile | variable_prefix, http_variable},
    {"upstream_cookie_", get_cookie, variable_volatile | variable_prefix, http_variable},
    {"fail_reason", get_fail_reason, variable_volatile | variable_changeable, http_variable},
};

}  // namespace

constinit const Module http_upstream_variables_module = {
    .name = "http_upstream_variables",
    .variables = upstream_variables,
};

}  // namespace fairlead::http
