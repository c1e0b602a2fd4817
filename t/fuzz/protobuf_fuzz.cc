// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Messages of protocol buffers from foreign bytes: what is read can be written and is read again as the same, nothing is read beyond the
// message; a text that is written is UTF-8 of at most the wanted size; a collector's answer says what it may.
#include <tuple>
#include <vector>

#include "modules/otel/protobuf.h"
#include "core/base/utf8.h"
#include "modules/otel/spans.h"
#include "t/fuzz/require.h"

namespace {

using namespace fairlead;

using fairlead::fuzz::require;

using Fields = std::vector<std::tuple<uint32_t, bool, uint64_t, std::string>>;

// Whether the message was whole; what could be read of it.
bool read(std::string_view message, Fields& to) {
  ProtoReader in(message);
  while (in.next()) to.emplace_back(in.field(), in.is_number(), in.number(), in.bytes());
  return !in.is_broken();
}

void check_message(std::string_view input) {
  Fields fields, again;
  read(input, fields);
  std::string written;
  ProtoWriter to(written);
  for (const auto& [field, is_number, number, bytes] : fields) {
    require(field > 0, "a field without a number");
    require(bytes.size() < input.size(), "more than there is");
    if (is_number) to.number(field, number);
    else to.bytes(field, bytes);
  }
  require(read(written, again) && again == fields, "what was written is read otherwise");
}

void check_text(std::string_view input) {
  std::string out;
  ProtoWriter(out).text(1, input, '?', 100);
  ProtoReader in(out);
  require(in.next() && in.field() == 1 && in.bytes().size() <= 100 && is_utf8(in.bytes()), "a text is not what it must be");
  require(!in.next() && !in.is_broken(), "something follows the text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(bytes), size);
  check_message(input);
  check_text(input);
  if (auto rejected = http::otel::read_response(input)) require(rejected->why.size() < size || size == 0, "a reason from elsewhere");
  Unframed unframed = grpc_unframed(input);
  require(unframed.wrong || (size >= 5 && unframed.message.size() == size - 5), "a frame that is not one");
  require(grpc_unframed(grpc_framed(input)).message == input, "framing changes the message");
  return 0;
}
