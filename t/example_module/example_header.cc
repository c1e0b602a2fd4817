// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// The example of modules/README.md: a field for responses, and a variable that tells how it was made. Not part of the product; built into
// a binary of its own by the tests, so that it compiles and works as it stands. Its Conf belongs to the generation.
#include "core/conf/module.h"
#include "core/conf/template.h"
#include "core/conf/value.h"
#include "http/hooks.h"
#include "http/request/request.h"

namespace fairlead {
namespace {

using namespace http;

// One per block that sets something; the values here are the defaults.
struct ExampleConf {
  std::string_view name = "X-Example";
  Template value;
  bool on_errors = false;
};

// A row without code of its own takes its parser from the type of the field. This one checks more than its type says.
ConfResult<Unit> set_name(Line& line, ExampleConf& own) {
  if (!is_token(line.word(1))) return line.invalid_value(1);
  own.name = line.word(1);
  return Unit();
}

constexpr Directive rows[] = {
    slot<ExampleConf, &ExampleConf::value>("example_header", in_http_and_if, "The value of a field added to responses."),
    slot<ExampleConf, &ExampleConf::on_errors>("example_header_on_errors", in_http_and_if, "Whether error responses get it, too."),
    custom<set_name, ExampleConf, &ExampleConf::name>("example_header_name", in_http_and_if, words(1), "The name of the field.")
        .takes("name"),
};

// Asked once per location when the configuration is loaded: where this is false the filter costs nothing.
bool is_wanted(const Block& block) { return conf<ExampleConf>(block).value.is_set(); }

// Before the head of a response leaves. Plain: it must not wait. The text lives in the request's arena.
void add_field(Request& request) {
  const ExampleConf& own = conf<ExampleConf>(request);
  if (request.response.status() >= 400 && !own.on_errors) return;
  std::string_view value = own.value.evaluate(request);
  if (value.empty() || !is_field_value(value)) return;  // a control character could end the field
  request.response.head.headers.add(own.name, value);
}

// $example_header_source: the value as the configuration has it.
Value source_text(Session& session, uintptr_t) {
  const Template& value = conf<ExampleConf>(session).value;
  return value.is_set() ? Value{value.source()} : Value::missing();
}

constexpr VariableDef variables[] = {{.name = "example_header_source", .get = source_text, .engines = http_variable}};
constexpr ResponseFilter filters[] = {{.stage = Stage::headers, .apply = add_field, .applies = is_wanted}};
constexpr Hooks hooks = {.filters = filters};

}  // namespace

// The only name that others see: the build finds it by the name of the file.
extern constinit const Module example_header_module = {
    .name = "example_header", .conf = conf_of<ExampleConf>, .directives = rows, .variables = variables, .http = &hooks};

}  // namespace fairlead
