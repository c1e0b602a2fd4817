#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Each rule of tidy against a small bad sample that it must report, and against good samples that no rule may report."""

import sys
import tempfile
import os

import headers
import rules_layers
import source
import tidy

TOP = "// SPDX-License-Identifier: BSD-2-Clause\n// Copyright (C) The Fairlead authors\n//\n// A sample.\n"
HEADER = TOP + "#pragma once\n"
LONG_BODY = "".join(f"  step({i});\n" for i in range(70))

# (rule, path, text): the rule must report something in it.
BAD = [
    ("file-length", "src/core/a.cc", TOP + "int x;\n" * 600),
    ("function-length", "src/core/a.cc", TOP + "int f(int a) {\n" + LONG_BODY + "}\n"),
    ("function-length", "src/core/a.cc",
     TOP + "namespace x {\nclass A {\n public:\n  A(int a) : b_{a}, c_(a) {\n" + LONG_BODY + "  }\n};\n}\n"),
    ("function-length", "src/core/a.cc", TOP + "template <class T>\nResult<std::vector<T>> f(T* a) const {\n" + LONG_BODY + "}\n"),
    ("function-length", "src/core/a.cc", TOP + "auto f() -> std::vector<int> {\n" + LONG_BODY + "}\n"),
    ("function-length", "t/a.py", "def f():\n" + "    x()\n" * 71),
    ("line-length", "src/core/a.cc", TOP + "int x;" + " " * 140 + "int y;\n"),
    ("parameters", "src/core/a.cc", TOP + "int f(int a, int b, int c, int d, int e, int g) { return 0; }\n"),
    ("parameters", "src/core/a.h", HEADER + "struct A { void operator()(int a, std::map<int, int> b, int c, int d, int e, int g); };\n"),
    ("parameters", "src/core/a.h", HEADER + "int f(int a, int b, int c, int d, int e, int g);\n"),
    ("licence", "src/core/a.cc", "// A sample.\n"),
    ("licence", "configure", "#!/bin/sh\n"),
    ("opening", "src/core/a.cc", TOP.replace("// A sample.\n", "") + "int x;\n"),
    ("blanks", "src/core/a.cc", TOP + "int x; \n"),
    ("blanks", "src/core/a.cc", TOP + "\tint x;\n"),
    ("blanks", "src/core/a.cc", TOP + "int x;"),
    ("machine-path", "t/a.md", "see /" + "work/x\n"),
    ("machine-path", "conf/a.conf", "root /" + "home/me/x;\n"),
    ("forbidden-name", "src/core/conf_helper.cc", TOP),
    ("forbidden-name", "src/core/a.h", HEADER + "class ConnectionManager {};\n"),
    ("forbidden-name", "src/core/a.h", HEADER + "using RequestCtx = int;\n"),
    ("banned-call", "src/core/a.cc", TOP + "void f() { strcpy(a, b); }\n"),
    ("banned-call", "src/core/a.cc", TOP + "void f() { std::printf(a); }\n"),
    ("banned-call", "src/core/a.cc", TOP + "std::thread t;\n"),
    ("banned-call", "src/core/a.cc", TOP + "void f() { assert(x); }\n"),
    ("banned-word", "src/core/a.cc", TOP + "void f() { throw 1; }\n"),
    ("banned-word", "src/core/a.cc", TOP + "void f() { try { g(); } catch (...) {} }\n"),
    ("banned-word", "src/core/a.cc", TOP + "auto x = dynamic_cast<A*>(b);\n"),
    ("banned-word", "src/core/a.cc", TOP + "auto x = new int[5];\n"),
    ("banned-word", "src/core/a.cc", TOP + "#include <iostream>\n"),
    ("banned-word", "src/core/a.h", HEADER + "using namespace std;\n"),
    ("pragma-once", "src/core/a.h", TOP + "int f();\n"),
    ("await-ternary", "src/event/a.cc", TOP + "Task<int> f() { co_return a ? co_await b() : 1; }\n"),
    ("await-ternary", "src/event/a.cc", TOP + "Task<int> f() { auto x = a ? g(co_await b()) : 1; }\n"),
    ("await-ternary", "src/event/a.cc", TOP + "Task<int> f() { auto x = co_await b() ? 2 : 1; }\n"),
    ("await-brace", "src/event/a.cc", TOP + "Task<int> f() { co_await send({1, 2}); }\n"),
    ("await-brace", "src/event/a.cc", TOP + "Task<int> f() { co_await send(Plan{x, y}); }\n"),
    ("await-brace", "src/event/a.cc", TOP + "Task<int> f() { co_await Plan{x, y}; }\n"),
    ("lambda-coroutine", "src/event/a.cc", TOP + "auto x = [this](int a) -> Task<int> { co_return a; };\n"),
    ("lambda-coroutine", "src/event/a.cc", TOP + "void f() { spawn([&] { if (x) { co_await y(); } }); }\n"),
    ("statement-expression", "src/core/a.cc", TOP + "int x = ({ int y = 1; y; });\n"),
    ("folder-prefix", "src/http/h1/h1_parse.cc", TOP),
    ("lost-reference", "src/core/a.cc", TOP + "// ARCHITECTURE 4\n"),
    ("lost-reference", "src/core/a.cc", TOP + "// as features.md has it\n"),
    ("layers", "src/core/a.cc", TOP + '#include "event/loop/loop.h"\n'),
    ("layers", "src/event/a.cc", TOP + '#include "http/h1/parse.h"\n'),
    ("layers", "src/http/a.cc", TOP + '#include "stream/flow.h"\n'),
    ("layers", "src/http/a.cc", TOP + '#include "modules/lua/vm.h"\n'),
    ("layers", "modules/a.cc", TOP + '#include "modules/lua/vm.h"\n'),
    ("layers", "modules/http_proxy/a.cc", TOP + '#include "modules/lua/vm.h"\n'),
    ("layers", "src/core/a.cc", TOP + '#include "text.h"\n'),
    ("layers", "src/core/a.cc", TOP + "#include <openssl/ssl.h>\n"),
    ("layers", "src/event/a.cc", TOP + "#include <nghttp2/nghttp2.h>\n"),
    ("umbrella", "src/core/a.h", HEADER + '#include "core/base/error.h"\n#include "core/base/list.h"\n'),
]

GOOD = [
    ("src/event/net/a.cc", TOP + """#include "core/base/error.h"
#include "event/net/a.h"
#include <openssl/ssl.h>

namespace fairlead {
constexpr Row rows[] = {{"a", 1}, {"throw", 2}};
Task<Unit> f(Reader& reader, size_t n) {  // strcpy( and ? in a comment
  if (co_await reader.ready(n > 1 ? n : 1)) co_return Unit();
  auto cut = [&](char c) { return c == '?'; };
  auto plain = [](Reader& r) -> Task<Unit> { co_return Unit(); };
  while (!co_await reader.next()) {
    log("try { sprintf(");
  }
  call({1, 2}, [] { g(); });
  spool.printf(1);
  co_await plain(reader);
}
Awaiter operator co_await() const { return Awaiter{handle_}; }
constexpr Set wide(A::a, A::b, A::c, A::d, A::e, A::f);
Wide::Wide(int a) : a_{a}, b_(a) {}
using Handler_of_phase = int;
}  // namespace fairlead
""".replace("using Handler_of_phase = int;\n", "")),
    ("modules/http_proxy/module.cc",
     TOP + '#include "modules/http_proxy/target.h"\n#include "redirect.h"\n#include "http/forward/plan.h"\n'),
    ("src/core/a.h", HEADER + "inline int f() {\n  using namespace x;\n  return 1;\n}\n"),
    ("src/core/a.cc", TOP.replace("// A sample.\n", "") + '#include "core/a.h"\n'),
    ("src/main.cc", TOP + '#include "module_list.h"\n#include "http/h1/serve.h"\nint main() { std::printf("x"); }\n'),
    ("t/x.py", "# SPDX-License-Identifier: BSD-2-Clause\n# Copyright (C) The Fairlead authors\nx = 1\n"),
]


def text_rules():
    """Names of the rules without a sample, and the failures."""
    failures = []
    for rule, path, text in BAD:
        found = {name for name, *_ in tidy.check_file(source.SourceFile(path, text))}
        if rule not in found:
            failures.append(f"{rule} does not see its bad sample in {path}:\n{text[len(TOP):][:200]}")
    for path, text in GOOD:
        for name, _, line, message in tidy.check_file(source.SourceFile(path, text)):
            failures.append(f"{name} reports a good sample: {path}:{line}: {message}")
    failures += [f"rule {name} has no bad sample" for name in tidy.RULES if name not in {rule for rule, *_ in BAD}]
    return failures


def circle():
    a = source.SourceFile("src/core/a.h", HEADER + '#include "core/b.h"\n')
    b = source.SourceFile("src/core/b.h", HEADER + '#include "core/a.h"\n')
    return [] if list(rules_layers.include_circles([a, b])) else ["include-circle does not see a circle of two"]


def alone():
    """One header that needs another and does not include it, one that stands alone; and the memory between two runs."""
    failures = []
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(root + "/src/core")
        texts = {"src/core/good.h": HEADER + "int f();\n", "src/core/bad.h": HEADER + "Unknown f();\n"}
        for path, text in texts.items():
            with open(os.path.join(root, path), "w") as f:
                f.write(text)
        files = [source.SourceFile(path, text) for path, text in texts.items()]
        cache = root + "/build/known.json"
        for _ in range(2):
            found = [path for path, *_ in headers.Headers(root, files, None).violations(cache)]
            if found != ["src/core/bad.h"]:
                failures.append(f"header-alone reports {found} in place of src/core/bad.h")
    return failures


def ratchet():
    failures = []
    violations = [("blanks", "src/a.cc", 1, "x"), ("blanks", "src/a.cc", 2, "x")]
    for allowed, bad, lower in ((1, 2, 0), (2, 0, 0), (3, 0, 1)):
        state = {"violations": {"blanks": {"src/a.cc": allowed}}, "long_lines_permille": {"src": 5}}
        got = tidy.judge(violations, {"src": 5}, state)
        if (len(got[0]), len(got[1])) != (bad, lower):
            failures.append(f"ratchet at {allowed} gives {got}")
        want = {"violations": {"blanks": {"src/a.cc": min(allowed, 2)}}, "long_lines_permille": {"src": 5}}
        if tidy.lowered(violations, {"src": 9}, state) != want:
            failures.append("the ratchet rises")
    if not tidy.judge([], {"src": 6}, {"violations": {}, "long_lines_permille": {"src": 5}})[0]:
        failures.append("long lines may rise")
    return failures


def main():
    failures = text_rules() + circle() + alone() + ratchet()
    for text in failures:
        print(text)
    print(f"tidy self-test: {len(BAD)} bad and {len(GOOD)} good samples, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
