// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "http/forward/conf.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/base/text.h"
#include "core/conf/block.h"
#include "core/conf/generation.h"

namespace fairlead {

ConfResult<Unit> ConfValue<http::RetryBackoff>::parse(Line& line, http::RetryBackoff& field) {
  field = {};
  if (line.word(1) == "off" && line.word_count() == 1) return Unit();
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    bool base = word.starts_with("base=");
    if (!base && !word.starts_with("max=")) return line.invalid_parameter(i);
    auto ms = parse_time_ms(word.substr(base ? 5 : 4), TimeGrain::milliseconds);
    if (!ms || *ms == 0 || *ms > UINT32_MAX) return line.invalid_parameter(i);  // 49 days: no product of it overflows
    (base ? field.base_ms : field.max_ms) = *ms;
  }
  if (field.base_ms == 0) return line.directive_reason("needs \"base=\"");
  if (field.max_ms == 0) field.max_ms = 10 * field.base_ms;
  if (field.max_ms < field.base_ms) return line.directive_reason("has \"max=\" below \"base=\"");
  return Unit();
}

ConfResult<Unit> ConfValue<http::BindAddress>::parse(Line& line, http::BindAddress& field) {
  field = {};
  if (line.word_count() == 1 && line.word(1) == "off") return Unit();
  if (line.word_count() == 2) {
    if (line.word(2) != "transparent") return line.invalid_parameter(2);
    field.transparent = true;
  }
  auto address = compile_word(line, 1);
  if (!address) return address.error();
  if (address->is_literal()) {
    auto parsed = parse_addr(line.word(1), 0, AddrUse::listen);
    if (!parsed || parsed->is_name()) return std::string("invalid address \"") + std::string(line.word(1)) + "\"";
  }
  field.address = std::move(*address);
  return Unit();
}

ConfResult<Unit> ConfValue<http::Rate>::parse(Line& line, http::Rate& field) {
  FL_TRY(ConfValue<Template>::parse(line, field.text));
  field.bytes.reset();
  if (!field.text.is_literal()) return Unit();
  field.bytes = parse_size(line.word(1), SizeUnits::up_to_mega);
  return field.bytes ? ConfResult<Unit>(Unit()) : line.directive_reason("invalid value");
}

ConfResult<Unit> ConfValue<http::LowWater>::parse(Line& line, http::LowWater& field) {
  auto bytes = parse_size(line.word(1), SizeUnits::up_to_mega);
  if (!bytes || *bytes > INT32_MAX) return line.directive_reason("invalid value");
#if defined(__linux__)
  line.warn(format("\"{}\" is not supported, ignored", line.name()));
  field.bytes = 0;
#else
  field.bytes = *bytes;
#endif
  return Unit();
}

ConfResult<Unit> ConfValue<http::StorePath>::parse(Line& line, http::StorePath& field) {
  field = {};
  if (line.word(1) == "off") return Unit();
  field.mode = http::StorePath::Mode::by_uri;
  if (line.word(1) == "on") return Unit();
  field.mode = http::StorePath::Mode::by_text;
  std::string_view path = line.word(1);
  if (!path.starts_with('$')) path = line.generation().absolute_path(path);
  auto text = compile_text(line, path);
  if (!text) return text.error();
  field.text = std::move(*text);
  return Unit();
}

// "user:rw group:rw all:r": what is named gets its bits, the owner can always write.
ConfResult<Unit> ConfValue<http::StoreAccess>::parse(Line& line, http::StoreAccess& field) {
  field.mode = 0600;
  for (size_t i = 1; i < line.words().size(); ++i) {
    std::string_view word = line.word(i);
    size_t colon = word.find(':');
    std::string_view who = word.substr(0, colon), rights = colon == std::string_view::npos ? std::string_view() : word.substr(colon + 1);
    uint32_t shift = who == "user" ? 6 : who == "group" ? 3 : 0;
    if (shift == 0 && who != "all") return line.invalid_value(i);
    uint32_t bits = rights == "r" ? 4 : rights == "rw" ? 6 : 0;
    if (bits == 0) return line.invalid_value(i);
    field.mode |= bits << shift;
  }
  return Unit();
}

namespace http {

// Of the connection (RFC 9110 section 7.6.1) or said anew by us.
static constexpr KnownHeaderSet never_passed(KnownHeader::connection, KnownHeader::keep_alive, KnownHeader::transfer_encoding,
                                             KnownHeader::content_length, KnownHeader::proxy_connection, KnownHeader::upgrade,
                                             KnownHeader::te);
// Hidden unless proxy_pass_header says otherwise.
static constexpr KnownHeaderSet hidden_by_default(KnownHeader::date, KnownHeader::server, KnownHeader::x_accel_expires,
                                                  KnownHeader::x_accel_redirect, KnownHeader::x_accel_limit_rate,
                                                  KnownHeader::x_accel_buffering, KnownHeader::x_accel_charset, KnownHeader::x_pad);

static HeaderNames dropped_fields(const ForwardConf& conf) {
  HeaderNames dropped(hidden_by_default);
  for (std::string_view name : conf.hide_headers) dropped.add(name);
  for (std::string_view name : conf.pass_headers) dropped.remove(name);
  dropped.add(never_passed);
  if (!conf.pass_trailers) dropped.add(KnownHeader::trailer);
  return dropped;
}

static ConfResult<Unit> check_buffers(Block& block, ForwardConf& conf, std::string_view prefix) {
  auto refuse = [&](std::string_view reason) { return format("{}{}\n", reason, at_place(block.place())); };
  auto name = [&](std::string_view rest) { return format("\"{}_{}\"", prefix, rest); };
  if (conf.buffers.count < 2) return refuse(format("there must be at least 2 {}", name("buffers")));
  uint64_t largest = conf.largest_buffer();
  // Without a value of its own each is twice the buffers of this very block, not of the one around it.
  uint64_t busy = conf.busy_buffers_size != 0 ? conf.busy_buffers_size.bytes : 2 * largest;
  std::string of_largest = format("the maximum of the value of {} and one of the {}", name("buffer_size"), name("buffers"));
  if (busy < largest)
    return refuse(format("{} must be equal to or greater than {}", name("busy_buffers_size"), of_largest));
  if (busy > (conf.buffers.count - 1) * conf.buffers.bytes)
    return refuse(format("{} must be less than the size of all {} minus one buffer", name("busy_buffers_size"), name("buffers")));
  if (conf.temp_file_write_bytes() < largest)
    return refuse(format("{} must be equal to or greater than {}", name("temp_file_write_size"), of_largest));
  if (conf.max_temp_file_size != 0 && conf.max_temp_file_size < largest)
    return refuse(format("{} must be equal to zero to disable temporary files usage or must be equal to or greater than {}",
                         name("max_temp_file_size"), of_largest));
  return Unit();
}

void finish_tries(ForwardConf& conf) {
  conf.dropped = dropped_fields(conf);
  conf.passes_server = !conf.dropped.holds("Server");
}

ConfResult<Unit> finish_forward(Block& block, ForwardConf& conf, std::string_view prefix) {
  FL_TRY(check_buffers(block, conf, prefix));
  finish_tries(conf);
  conf.obeys_x_accel_buffering = true;
  return Unit();
}

}  // namespace http
}  // namespace fairlead
