// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
#include "modules/http_rewrite/rewrite_rule.h"

#include <string>
#include <vector>

#include "core/base/format.h"
#include "core/base/text.h"
#include "http/request/response.h"
#include "http/request/script.h"
#include "modules/http_rewrite/condition.h"
#include "modules/http_rewrite/quoting.h"
#include "modules/http_rewrite/rewrite_conf.h"

namespace fairlead {
namespace {

using http::Request;
using http::ScriptStep;
using http::Verdict;

// A piece of the replacement. `args`: what follows is the query (a `?` that is not sent on as such).
struct Piece {
  enum class Kind : uint8_t { literal, variable, capture, args } kind;
  uint32_t index = 0;
  std::string_view text;
};

struct Rule {
  std::unique_ptr<RegexRule> regex;
  std::vector<Piece> pieces;
  unsigned redirect = 0;    // the status, 0: the URI is changed here
  bool has_args = false;    // the replacement has a query
  bool keeps_args = true;   // the request's own query is added
  bool ends_script = false;
  bool keeps_location = false;  // `break`
};

// What a redirect's target becomes: %XX of printable characters are decoded up to the query, as captures were escaped whole.
std::string decode_redirect(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '?') return decoded.append(text.substr(i));
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1, low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    int byte = high * 16 + low;
    if (high >= 0 && low >= 0 && byte > '%' && byte < 0x7f) {
      decoded += static_cast<char>(byte);
      i += 2;
      if (byte == '?') return decoded.append(text.substr(i + 1));
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

class Rewrite final : public http::ScriptStatement {
 public:
  explicit Rewrite(Rule rule) : rule_(std::move(rule)) {}

  ScriptStep run(Request& request, Verdict& verdict) const override {
    Regex::Outcome outcome = match_rule(request, *rule_.regex, request.uri);
    if (outcome == Regex::Outcome::no_match) return ScriptStep::next;
    if (outcome == Regex::Outcome::error) {
      verdict = Verdict::status(500);
      return ScriptStep::finished;
    }
    size_t args_at = std::string::npos;
    std::string text = replacement(request, args_at);
    if (rule_.redirect) {
      redirect(request, std::move(text));
      verdict = Verdict::status(rule_.redirect);
      return ScriptStep::finished;
    }
    request.script_quotes_captures = false;
    request.is_internal = true;
    request.uri_changed = true;
    request.wants_location = !rule_.keeps_location;
    if (rule_.keeps_location) request.left_location = true;
    change_uri(request, std::move(text), args_at);
    if (request.uri.empty()) {
      request.logger.error("the rewritten URI has a zero length");
      verdict = Verdict::status(500);
      return ScriptStep::finished;
    }
    return rule_.ends_script ? ScriptStep::stop : ScriptStep::next;
  }

 private:
  // The URI is decoded while a query is not: captures that go there are escaped, if the client had escaped anything.
  std::string replacement(Request& request, size_t& args_at) const {
    bool quote = rule_.redirect != 0;
    std::string text;
    for (const Piece& piece : rule_.pieces) {
      switch (piece.kind) {
        case Piece::Kind::literal: text += piece.text; break;
        case Piece::Kind::variable: text += request.variable(piece.index).text; break;
        case Piece::Kind::capture:
          append_capture(request, piece.index, quote, text);
          break;
        case Piece::Kind::args:
          args_at = text.size();
          quote = true;
          break;
      }
    }
    return text;
  }

  void redirect(Request& request, std::string text) const {
    std::string target = decode_redirect(text);
    if (rule_.keeps_args && !request.args.empty()) {
      target += rule_.has_args ? '&' : '?';
      target += request.args;
    }
    if (conf<RewriteConf>(request).rewrite_log) request.logger.notice("rewritten redirect: \"{}\"", target);
    set_location(request, request.arena().copy(target));
  }

  void change_uri(Request& request, std::string text, size_t args_at) const {
    std::string_view whole = text.empty() ? "" : request.arena().copy(text);  // an empty URI, not none
    if (args_at != std::string::npos) {
      std::string_view args = whole.substr(args_at);
      if (rule_.keeps_args && !request.args.empty()) args = request.arena().join({args, "&", request.args});
      request.args = args;
      whole = whole.substr(0, args_at);
    } else if (!rule_.keeps_args) {
      request.args = request.args.substr(0, 0);  // where there were none they stay missing
    }
    request.uri = whole;
    if (conf<RewriteConf>(request).rewrite_log) request.logger.notice("rewritten data: \"{}\", args: \"{}\"", request.uri, request.args);
  }

  Rule rule_;
};

ConfResult<Unit> read_flag(std::string_view flag, const Line& line, Rule& rule) {
  rule.ends_script = true;
  if (flag == "last") return Unit();
  if (flag == "break") rule.keeps_location = true;
  else if (flag == "redirect") rule.redirect = 302;
  else if (flag == "permanent") rule.redirect = 301;
  else return line.invalid_parameter(3);
  return Unit();
}

// Cuts at the first `?`, unless the whole is a redirect's URL, which stays a text.
ConfResult<Unit> read_replacement(std::string_view text, const Line& line, Rule& rule) {
  auto parts = cut_template(text, variables_of(line), line.place(), true);
  if (!parts) return parts.error();
  for (const Template::Part& part : *parts) {
    if (part.kind == Template::Part::Kind::variable) rule.pieces.push_back({Piece::Kind::variable, part.index, {}});
    if (part.kind == Template::Part::Kind::capture) rule.pieces.push_back({Piece::Kind::capture, part.index, {}});
    if (part.kind != Template::Part::Kind::literal) continue;
    std::string_view rest = part.text;
    size_t mark = rule.has_args ? std::string_view::npos : rest.find('?');
    if (mark != std::string_view::npos) rule.has_args = true;
    if (mark != std::string_view::npos && !rule.redirect) {
      if (mark) rule.pieces.push_back({Piece::Kind::literal, 0, rest.substr(0, mark)});
      rule.pieces.push_back({Piece::Kind::args, 0, {}});
      rest.remove_prefix(mark + 1);
    }
    if (!rest.empty()) rule.pieces.push_back({Piece::Kind::literal, 0, rest});
  }
  return Unit();
}

}  // namespace

ConfResult<Unit> add_rewrite(Line& line) {
  Rule rule;
  std::string_view text = line.word(2);
  if (text.empty()) return std::string("empty replacement");
  auto regex = RegexRule::compile(line, line.word(1), false);
  if (!regex) return regex.error();
  rule.regex = std::move(*regex);
  if (text.ends_with('?')) {
    text.remove_suffix(1);
    rule.keeps_args = false;
  }
  if (text.starts_with("http://") || text.starts_with("https://") || text.starts_with("$scheme")) {
    rule.redirect = 302;
    rule.ends_script = true;
  }
  if (line.word_count() == 3) FL_TRY(read_flag(line.word(3), line, rule));
  FL_TRY(read_replacement(text, line, rule));
  add_statement(line, line.arena().make<Rewrite>(std::move(rule)));
  return Unit();
}

}  // namespace fairlead
