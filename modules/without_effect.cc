// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// Lines of existing files that change nothing here, one table of them: those that switch off what
// is not built (taken as they are: they ask for what is the case), and those that tune what is not
// there to be tuned, or belong to what would be switched on by another line that is refused (taken
// with a warning). What they would switch on stays an unknown directive (core/conf/left_out.h).
#include "core/base/format.h"
#include "core/conf/block.h"
#include "core/conf/left_out.h"
#include "core/conf/module.h"
#include "core/conf/template.h"
#include "core/conf/value.h"

namespace fairlead {
namespace {

struct WithoutEffectConf {};

ConfResult<Unit> check_off(Line& line, WithoutEffectConf&) {
  if (line.word_count() == 1 && line.word(1) == "off") return Unit();
  return format("unknown directive \"{}\"{}, {}\n", line.name(), at_place(line.place()), why_not_there(line.name()));
}
constexpr Directive off(std::string_view name, uint32_t contexts, WordCount count = words(1)) {
  return custom<check_off, WithoutEffectConf>(name, contexts, count, "May only be off: what it would switch on is not there.").takes("off");
}

template <class Type>
struct Checked {
  static ConfResult<Unit> check(Line& line) {
    Type value{};
    return ConfValue<Type>::parse(line, value);
  }
  static constexpr WordCount count = ConfValue<Type>::words;
  static constexpr std::string_view type = ConfValue<Type>::type;
};

struct DebugPoint {
  static ConfResult<Unit> check(Line& line) {
    if (line.word(1) != "stop" && line.word(1) != "abort") return line.invalid_value(1);
    return Unit();
  }
  static constexpr WordCount count = words(1);
  static constexpr std::string_view type = "stop | abort";
};

// The sentence of each row, in the reference and in the warning.
constexpr std::string_view opening = "It has no effect here: ";
std::string_view reason_of(std::string_view name) { return modules().rows(name)[0].directive->text.substr(opening.size()); }

template <class Argument>
ConfResult<Unit> check(Line& line, WithoutEffectConf&) {
  FL_TRY(Argument::check(line));
  std::string_view reason = reason_of(line.name());
  reason.remove_suffix(1);  // the full stop
  line.warn(format("\"{}\" has no effect here: {}", line.name(), reason));
  return Unit();
}
template <class Argument>
constexpr Directive vain(std::string_view name, uint32_t contexts, std::string_view sentence) {
  return custom<check<Argument>, WithoutEffectConf>(name, contexts, Argument::count, sentence).takes(Argument::type);
}

constexpr uint32_t in_http_or_server = in_http | in_server;
constexpr Directive rows[] = {
    off("proxy_cache", in_http_any),
    off("fastcgi_cache", in_http_any),
    off("uwsgi_cache", in_http_any),
    off("scgi_cache", in_http_any),
    off("ssi", in_http_and_if),
    off("dav_methods", in_http_any, words_from(1)),
    off("create_full_put_path", in_http_any),
    off("post_action", in_http_and_if),
    off("image_filter", in_location, words_from(1)),
    off("brotli", in_http_and_if),
    off("brotli_static", in_http_any),
    off("modsecurity", in_http_any),
    off("http3", in_http_or_server),
    off("quic_retry", in_http_or_server),
    off("quic_gso", in_http_or_server),
    vain<Checked<Conditions>>("proxy_cache_bypass", in_http_any, "It has no effect here: responses are not kept."),
    vain<Checked<Conditions>>("proxy_no_cache", in_http_any, "It has no effect here: responses are not kept."),
    vain<Checked<Size>>("connection_pool_size", in_http_or_server,
                        "It has no effect here: a connection holds memory only while it needs it."),
    vain<Checked<Size>>("subrequest_output_buffer_size", in_http_any,
                        "It has no effect here: what a subrequest answers is not kept in one buffer."),
    vain<Checked<Size>>("http2_pool_size", in_http_or_server, "It has no effect here: a connection holds memory only while it needs it."),
    vain<Checked<uint64_t>>("http2_streams_index_size", in_http_or_server, "It has no effect here: nghttp2 finds its streams itself."),
    vain<Checked<bool>>("gzip_no_buffer", in_http_any, "It has no effect here: what is there is compressed and sent at once."),
    vain<Checked<bool>>("open_file_cache_events", in_http_any,
                        "It has no effect here: an entry is checked after open_file_cache_valid."),
    vain<Checked<uint64_t>>("epoll_events", in_events, "It has no effect here: the loop takes as many events at once as it finds."),
    vain<Checked<uint64_t>>("worker_aio_requests", in_events,
                            "It has no effect here: the kernel's asynchronous reads are not used; see \"aio threads\"."),
    vain<DebugPoint>("debug_points", in_main, "It has no effect here: a broken invariant always ends the worker with a core file."),
};

}  // namespace

extern constinit const Module without_effect_module = {.name = "without_effect", .conf = conf_of<WithoutEffectConf>, .directives = rows};

}  // namespace fairlead
