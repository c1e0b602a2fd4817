// SPDX-License-Identifier: BSD-2-Clause
// Copyright (C) The Fairlead authors
//
// geo: a variable whose value is looked up by an address, in networks (the longest prefix holds) or in ranges (an inner one holds).
// Tables lie in the arena of the generation.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/format.h"
#include "core/base/forwarded.h"
#include "core/conf/generation.h"
#include "core/conf/module.h"
#include "core/conf/session.h"
#include "core/conf/template.h"

namespace fairlead {
namespace {

struct GeoConf {};

// Values by networks of one family: a binary tree over the bits of the prefix.
class PrefixTree {
 public:
  PrefixTree() : nodes_(1) {}

  // The place of a network's own value, made if need be.
  std::optional<std::string_view>& at(std::string_view network, unsigned bits) {
    uint32_t node = 0;
    for (unsigned i = 0; i < bits; ++i) {
      uint32_t next = nodes_[node].next[bit(network, i)];
      if (next == 0) {
        next = static_cast<uint32_t>(nodes_.size());
        nodes_[node].next[bit(network, i)] = next;
        nodes_.emplace_back();
      }
      node = next;
    }
    return nodes_[node].value;
  }
  // The value of the longest network around `ip`, or nothing.
  std::string_view find(std::string_view ip) const {
    std::string_view value;
    uint32_t node = 0;
    for (unsigned i = 0;; ++i) {
      if (nodes_[node].value) value = *nodes_[node].value;
      if (i == ip.size() * 8) return value;
      node = nodes_[node].next[bit(ip, i)];
      if (node == 0) return value;
    }
  }

 private:
  struct Node {
    uint32_t next[2] = {0, 0};  // 0: none; nothing points to the root
    std::optional<std::string_view> value;
  };
  static unsigned bit(std::string_view ip, unsigned i) { return (static_cast<unsigned char>(ip[i / 8]) >> (7 - i % 8)) & 1; }
  std::vector<Node> nodes_;
};

// Values by ranges of IPv4 addresses that do not overlap, or lie one in another: then the one given later is cut out of the other. As in
// nginx the blocks of 2^16 addresses are looked at one by one.
class RangeTable {
 public:
  struct Range {
    uint32_t first, last;
    std::string text() const { return Addr::inet(first, 0).host_text() + "-" + Addr::inet(last, 0).host_text(); }
  };
  enum class Added : uint8_t { ok, replaced, overlaps };

  // `other`: the range overlapped, or the value replaced.
  struct Result {
    Added added = Added::ok;
    Range other{0, 0};
    std::string_view old_value;
  };
  Result add(Range range, std::string_view value) {
    Result result;
    each_block(range, [&](Range part) {
      if (result.added != Added::overlaps) add_part(part, value, result);
    });
    return result;
  }
  // False: there was no such range.
  bool remove(Range range) {
    bool found = true;
    each_block(range, [&](Range part) {
      auto at = ranges_.find(part.first);
      if (at != ranges_.end() && at->second.last == part.last) ranges_.erase(at);
      else found = false;
    });
    return found;
  }
  // After the last change: what find() searches.
  void finish() {
    for (const auto& [first, entry] : ranges_) {
      bool continues = !flat_.empty() && flat_.back().range.last + 1 == first && flat_.back().value == entry.value;
      if (continues) flat_.back().range.last = entry.last;
      else flat_.push_back({{first, entry.last}, entry.value});
    }
    ranges_.clear();
  }
  const std::string_view* find(uint32_t ip) const {
    auto behind = std::upper_bound(flat_.begin(), flat_.end(), ip, [](uint32_t wanted, const Flat& f) { return wanted < f.range.first; });
    if (behind == flat_.begin() || ip > std::prev(behind)->range.last) return nullptr;
    return &std::prev(behind)->value;
  }

 private:
  struct Entry {
    uint32_t last;
    std::string_view value;
  };
  struct Flat {
    Range range;
    std::string_view value;
  };

  template <class Each>
  static void each_block(Range range, const Each& each) {
    for (uint64_t first = range.first; first <= range.last;) {
      uint64_t last = std::min<uint64_t>(range.last, first | 0xffff);
      each(Range{static_cast<uint32_t>(first), static_cast<uint32_t>(last)});
      first = last + 1;
    }
  }
  void add_part(Range part, std::string_view value, Result& result) {
    auto at = ranges_.upper_bound(part.last);
    if (at == ranges_.begin() || std::prev(at)->second.last < part.first) {
      ranges_[part.first] = {part.last, value};
      return;
    }
    --at;
    Range around{at->first, at->second.last};
    std::string_view outer_value = at->second.value;
    if (part.first < around.first || part.last > around.last) {
      result = {Added::overlaps, around, outer_value};
      return;
    }
    if (part.first == around.first && part.last == around.last) result = {Added::replaced, around, outer_value};
    if (part.last < around.last) ranges_[part.last + 1] = {around.last, outer_value};
    if (part.first > around.first) at->second.last = part.first - 1;
    ranges_[part.first] = {part.last, value};
  }

  std::map<uint32_t, Entry> ranges_;  // by first address, while reading
  std::vector<Flat> flat_;
};

class Geo {
 public:
  // `source`: the variable that holds the address; none: the client's.
  explicit Geo(std::optional<uint32_t> source) : source_(source) {}

  ConfResult<Unit> add(const Line& line, std::span<const std::string_view> words, Place place);
  void finish() { ranges_.finish(); }
  Value value(Session& session) const;
  bool is_volatile() const { return volatile_; }

 private:
  ConfResult<Unit> add_switch(std::string_view word, bool is_http);
  ConfResult<Unit> add_proxy(const Line& line, std::string_view text, Place place);
  ConfResult<Unit> add_network(const Line& line, std::string_view text, std::string_view value, Place place);
  ConfResult<Unit> add_range(const Line& line, std::string_view text, std::string_view value, Place place);
  ConfResult<Unit> remove(const Line& line, std::string_view text, Place place);
  void put(const Line& line, const Cidr& network, std::string_view written, std::string_view value, Place place);
  PrefixTree& tree(const Cidr& network) { return network.family() == Addr::Family::inet ? inet_ : inet6_; }
  Addr address(Session& session) const;

  std::optional<uint32_t> source_;
  std::optional<uint32_t> forwarded_;  // $http_x_forwarded_for, if there are proxies
  PrefixTree inet_, inet6_;
  RangeTable ranges_;
  std::optional<std::string_view> range_default_;
  std::vector<Cidr> proxies_;
  bool by_ranges_ = false, has_entries_ = false, recursive_ = false, volatile_ = false;
};

void warn_at(const Line& line, std::string_view text, Place place) { line.generation().warn(format("{}{}", text, at_place(place))); }

// A network as geo takes it: IPv6 ones that carry IPv4 addresses stay what they are.
ConfResult<Cidr> parse_network(const Line& line, std::string_view text, Place place) {
  std::optional<Cidr> network = Cidr::parse(text);
  if (!network || network->family() == Addr::Family::local) return format("invalid network \"{}\"", text);
  if (network->low_bits_set()) warn_at(line, format("low address bits of {} are meaningless", text), place);
  return *network;
}

// An IPv4 address in host byte order.
uint32_t ip_number(const Addr& addr) {
  uint32_t ip = 0;
  for (char byte : addr.bytes()) ip = ip << 8 | static_cast<unsigned char>(byte);
  return ip;
}

ConfResult<RangeTable::Range> parse_range(std::string_view text) {
  size_t dash = text.find('-');
  if (dash != std::string_view::npos) {
    auto first = Addr::parse_ip(text.substr(0, dash)), last = Addr::parse_ip(text.substr(dash + 1));
    if (first && last && first->family() == Addr::Family::inet && last->family() == Addr::Family::inet) {
      RangeTable::Range range{ip_number(*first), ip_number(*last)};
      if (range.first <= range.last) return range;
    }
  }
  return format("invalid range \"{}\"", text);
}

ConfResult<Unit> Geo::add(const Line& line, std::span<const std::string_view> words, Place place) {
  bool is_http = line.block().context() == in_http;  // only there others may speak for a client
  if (words.size() == 1) return add_switch(words[0], is_http);
  if (words.size() != 2) return std::string("invalid number of the geo parameters");
  if (words[0] == "proxy" && is_http) return add_proxy(line, words[1], place);
  has_entries_ = true;
  if (words[0] == "delete") return remove(line, words[1], place);
  return by_ranges_ ? add_range(line, words[0], words[1], place) : add_network(line, words[0], words[1], place);
}

ConfResult<Unit> Geo::add_switch(std::string_view word, bool is_http) {
  if (word == "ranges") {
    if (has_entries_ && !by_ranges_) return std::string("the \"ranges\" directive must be the first directive inside \"geo\" block");
    by_ranges_ = true;
  } else if (word == "proxy_recursive" && is_http) {
    recursive_ = true;
  } else if (word == "volatile") {
    volatile_ = true;
  } else {
    return std::string("invalid number of the geo parameters");
  }
  return Unit();
}

ConfResult<Unit> Geo::add_proxy(const Line& line, std::string_view text, Place place) {
  auto network = parse_network(line, text, place);
  if (!network) return network.error();
  proxies_.push_back(*network);
  forwarded_ = variables_of(line).use("http_x_forwarded_for", place);
  return Unit();
}

void Geo::put(const Line& line, const Cidr& network, std::string_view written, std::string_view value, Place place) {
  auto& own = tree(network).at(network.bytes(), static_cast<unsigned>(network.prefix_bits()));
  if (own) warn_at(line, format("duplicate network \"{}\", value: \"{}\", old value: \"{}\"", written, value, *own), place);
  own = value;
}

ConfResult<Unit> Geo::add_network(const Line& line, std::string_view text, std::string_view value, Place place) {
  if (text == "default") {
    put(line, *Cidr::parse("0.0.0.0/0"), text, value, place);
    put(line, *Cidr::parse("::/0"), text, value, place);
    return Unit();
  }
  auto network = parse_network(line, text, place);
  if (!network) return network.error();
  put(line, *network, text, value, place);
  return Unit();
}

ConfResult<Unit> Geo::add_range(const Line& line, std::string_view text, std::string_view value, Place place) {
  if (text == "default") {
    if (range_default_)
      warn_at(line, format("duplicate default geo range value: \"{}\", old value: \"{}\"", value, *range_default_), place);
    range_default_ = value;
    return Unit();
  }
  auto range = parse_range(text);
  if (!range) return range.error();
  RangeTable::Result result = ranges_.add(*range, value);
  switch (result.added) {
    case RangeTable::Added::ok: break;
    case RangeTable::Added::overlaps: return format("range \"{}\" overlaps \"{}\"", text, result.other.text());
    case RangeTable::Added::replaced:
      warn_at(line, format("duplicate range \"{}\", value: \"{}\", old value: \"{}\"", text, value, result.old_value), place);
  }
  return Unit();
}

ConfResult<Unit> Geo::remove(const Line& line, std::string_view text, Place place) {
  if (by_ranges_) {
    auto range = parse_range(text);
    if (!range) return range.error();
    if (!ranges_.remove(*range)) warn_at(line, format("no address range \"{}\" to delete", text), place);
    return Unit();
  }
  auto network = parse_network(line, text, place);
  if (!network) return network.error();
  auto& own = tree(*network).at(network->bytes(), static_cast<unsigned>(network->prefix_bits()));
  if (!own) warn_at(line, format("no network \"{}\" to delete", text), place);
  own.reset();
  return Unit();
}

// What is no address counts as 255.255.255.255.
Addr Geo::address(Session& session) const {
  Addr addr = source_ ? Addr::parse_ip(session.variable(*source_).text).value_or(Addr()) : *session.client_addr;
  if (!proxies_.empty()) addr = forwarded_addr(addr, session.variable(*forwarded_).text, proxies_, recursive_);
  return addr.is_ip() ? addr.unmapped() : Addr::inet(0xffffffff, 0);
}

Value Geo::value(Session& session) const {
  Addr addr = address(session);
  bool inet = addr.family() == Addr::Family::inet;
  if (!by_ranges_) return Value{(inet ? inet_ : inet6_).find(addr.bytes()), true};
  const std::string_view* found = inet ? ranges_.find(ip_number(addr)) : nullptr;
  return Value{found ? *found : range_default_.value_or(std::string_view()), true};
}

ConfResult<Unit> set_geo(Line& line, GeoConf&) {
  size_t last = line.word_count();
  std::optional<uint32_t> source;
  if (last == 2) {
    auto from = variable_name(line, 1);
    if (!from) return from.error();
    source = variables_of(line).use(*from, line.place());
  }
  auto name = variable_name(line, last);
  if (!name) return name.error();
  Geo* geo = line.arena().make<Geo>(source);
  FL_TRY(line.read_lines([&](std::span<const std::string_view> words, Place place) { return geo->add(line, words, place); }));
  geo->finish();
  VariableDef def;
  def.name = *name;
  def.get = [](Session& session, uintptr_t datum) { return reinterpret_cast<const Geo*>(datum)->value(session); };
  def.flags = static_cast<uint8_t>(variable_changeable | (geo->is_volatile() ? variable_volatile : 0));
  def.datum = reinterpret_cast<uintptr_t>(geo);
  auto defined = variables_of(line).define(def, line.place());
  if (!defined) return defined.error();
  return Unit();
}

constexpr std::array directives = {
    custom<set_geo, GeoConf>("geo", in_http | in_stream, words(1, 2),
                             "Makes a variable whose value is looked up by an address, the client's unless another variable is named.")
        .block()
        .many()
        .takes("[$address] $variable"),
};

}  // namespace

extern constinit const Module geo_module = {.name = "geo", .conf = conf_of<GeoConf>, .directives = directives};

}  // namespace fairlead
