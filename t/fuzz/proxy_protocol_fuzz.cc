// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// PROXY headers: any bytes give one answer however they are cut; addresses that were read are written and read back; every TLV lies within
// the header.
#include "event/net/proxy_protocol.h"

#include "t/fuzz/feed.h"

namespace {

using namespace fairlead;

std::string feed(std::string_view input, const fuzz::Cuts& cuts) {
  ProxyHeader header;
  ProxyParsed parsed;
  for (size_t cut : cuts) {
    fuzz::Copy copy(input.substr(0, cut));
    parsed = parse_proxy_header(copy.view(), header);
    if (parsed.state != ProxyParsed::State::need_more) break;
  }
  if (parsed.state == ProxyParsed::State::need_more) return "more";
  if (parsed.state == ProxyParsed::State::malformed) return "malformed";
  return format("{} {} {} {}", parsed.bytes, header.source.text(), header.destination.text(), header.tlvs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size > 8192) return 0;
  std::string_view input(reinterpret_cast<const char*>(bytes), size);
  fuzz::same_in_pieces(size, [&](const fuzz::Cuts& cuts) { return feed(input, cuts); });
  ProxyHeader header;
  ProxyParsed parsed = parse_proxy_header(input, header);
  if (parsed.state != ProxyParsed::State::done) return 0;
  FL_ASSERT(parsed.bytes <= size && parsed.bytes <= proxy_header_bytes_max);
  FL_ASSERT(header.source.valid() == header.destination.valid());
  for (std::string_view name : {"alpn", "ssl", "ssl_cn", "ssl_verify", "0xe0"}) {
    auto value = find_proxy_tlv(header.tlvs, *parse_proxy_tlv_name(name));
    if (!value || value->empty()) continue;
    FL_ASSERT(value->data() >= header.tlvs.data() && value->data() + value->size() <= header.tlvs.data() + header.tlvs.size());
  }
  if (!header.source.valid()) return 0;
  for (ProxyVersion version : {ProxyVersion::v1, ProxyVersion::v2}) {
    ProxyHeader again;
    std::string made = make_proxy_header(version, header.source, header.destination);
    FL_ASSERT(parse_proxy_header(made, again).bytes == made.size());
    FL_ASSERT(again.source == header.source && again.destination == header.destination);
  }
  return 0;
}
