# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Rules about C++: calls that are banned with what to use instead, and code that g++ 12 is known to miscompile."""

import os
import re

import source

# name -> what to use. Matched as a free call, with or without std::.
BANNED_CALLS = {
    "strcpy": "std::string_view and memcpy with a known size", "strcat": "std::string_view and memcpy with a known size",
    "sprintf": "fmt::format_to_n", "vsprintf": "fmt::format_to_n", "strtok": "core/base/text.h", "gets": "a bounded read",
    "rand": "core/base/random.h", "srand": "core/base/random.h", "atoi": "core/base/text.h", "atol": "core/base/text.h",
    "atof": "core/base/text.h",
    "localtime": "localtime_r", "gmtime": "gmtime_r", "inet_ntoa": "core/base/addr.h", "gethostbyname": "the resolver",
    "alloca": "the arena", "assert": "FL_ASSERT", "usleep": "a wait of the loop", "nanosleep": "a wait of the loop",
}
PRINT_CALLS = ("printf", "fprintf", "snprintf", "vsnprintf", "vfprintf", "puts", "fputs", "perror")
PRINTING_FILES = ("src/main.cc", "cmdline.cc", "cmdline.h")
BANNED_WORDS = (
    (r"\bthrow\b", "exceptions are off: Result<T>"), (r"\btry\s*\{", "exceptions are off: Result<T>"),
    (r"\bcatch\s*\(", "exceptions are off: Result<T>"), (r"\bdynamic_cast\b", "RTTI is off: a virtual function or a tag"),
    (r"\btypeid\b", "RTTI is off: a virtual function or a tag"), (r"\bstd::regex\b", "core/base/regex.h (PCRE2)"),
    (r"\bstd::(?:cout|cerr|cin|i?o?stringstream|[io]?fstream)\b", "the log, or {fmt}"),
    (r"\bnew\s+[\w:]+(?:<[^;()]*>)?\s*\[", "an array with an owner: arena, std::vector, Segment"),
)
BANNED_INCLUDES = {
    "<regex>": "core/base/regex.h", "<iostream>": "the log, or {fmt}", "<sstream>": "{fmt}", "<fstream>": "plain system calls",
    "<format>": "core/base/format.h", "<bits/stdc++.h>": "the headers that are used",
}


def banned_call(file):
    if not file.is_product:
        return
    for name, instead in BANNED_CALLS.items():
        for match in re.finditer(rf"(?<![\w.>:~])(?:std::|::)?{name}\s*\(", file.code):
            yield file.line_of(match.start()), f"{name}() is banned: use {instead}"
    if not file.path.endswith(PRINTING_FILES):
        for name in PRINT_CALLS:
            for match in re.finditer(rf"(?<![\w.>:~])(?:std::|::)?{name}\s*\(", file.code):
                yield file.line_of(match.start()), f"{name}() outside main.cc and cmdline: use the log or {{fmt}}"
    if not file.path.endswith("/blocking.cc") and not file.path.endswith("/blocking.h"):
        for match in re.finditer(r"\bstd::j?thread\b|\bpthread_create\b", file.code):
            yield file.line_of(match.start()), "threads exist in event/file/blocking.cc only"


def banned_word(file):
    if not file.is_product:
        return
    for pattern, instead in BANNED_WORDS:
        for match in re.finditer(pattern, file.code):
            yield file.line_of(match.start()), f"`{match.group().strip()}` is banned: use {instead}"
    for number, name in file.includes:
        if name in BANNED_INCLUDES:
            yield number, f"{name} is banned: use {BANNED_INCLUDES[name]}"
    if file.path.endswith(".h"):
        bodies = [(f.body, f.end) for f in file.functions if f.body is not None]
        for match in re.finditer(r"\busing\s+namespace\b", file.code):
            if not any(body < match.start() < end for body, end in bodies):
                yield file.line_of(match.start()), "using namespace in a header, outside a function"


def pragma_once(file):
    if file.is_cpp and file.path.endswith(".h") and not re.search(r"^#pragma once$", file.text, re.M):
        yield 1, "no #pragma once"


_AWAIT = re.compile(r"(?<!operator )\bco_await\b")


def _in_ternary(code, at):
    """Whether the co_await at `at` is part of a `?:`, in a branch (to the left) or in its condition (to the right)."""
    depth = 0
    for i in range(at - 1, -1, -1):
        c = code[i]
        if c in ";{}":
            break
        depth += (c in ")]") - (c in "([")
        if c == "?" and depth <= 0:
            return True
    depth = 0
    for i in range(at, len(code)):
        c = code[i]
        if c in ";{}" or (c == "," and depth <= 0):
            break
        depth += (c in "([") - (c in ")]")
        if c == "?" and depth <= 0:
            return True
    return False


def await_ternary(file):
    for match in _AWAIT.finditer(file.code) if file.is_cpp else ():
        if _in_ternary(file.code, match.start()):
            yield file.line_of(match.start()), "co_await in ?: is miscompiled by g++ 12: use if"


_LAMBDA_BODY = re.compile(r"(?:\)|\]|\bmutable|\bnoexcept|->\s*[\w:<>&*]+)\s*$")


def _brace_in_await(code, at):
    depth, i = 0, at
    while i < len(code):
        c = code[i]
        if c == ";" or depth < 0:
            return None
        if c == "{":
            before = code[at:i]
            if not _LAMBDA_BODY.search(before):
                return i
            i = source.closing(code, i)
        depth += (c in "([") - (c in ")]")
        i += 1
    return None


def await_brace(file):
    for match in _AWAIT.finditer(file.code) if file.is_cpp else ():
        where = _brace_in_await(file.code, match.end())
        if where is not None:
            yield file.line_of(where), "braced list inside an await expression is destroyed twice by g++ 12: name it first"


_LAMBDA = re.compile(r"(?<![\w\])\[])\s*\[(?!\[)([^\[\]]*)\]\s*(?:<[^{};]*?>\s*)?(?=[({]|mutable|->)")


def lambda_coroutine(file):
    for match in _LAMBDA.finditer(file.code) if file.is_cpp else ():
        if not match.group(1).strip():
            continue
        at = match.end()
        if file.code[at] == "(":
            at = source.closing(file.code, at) + 1
        opening = file.code.find("{", at)
        if opening < 0 or ";" in file.code[at:opening]:
            continue
        body = file.code[opening:source.closing(file.code, opening)]
        if re.search(r"\bco_(?:await|return|yield)\b", body):
            yield file.line_of(match.start(1)), "a capturing lambda must not be a coroutine: its captures die before it"


def statement_expression(file):
    for match in re.finditer(r"\(\s*\{", file.code) if file.is_cpp else ():
        opening = match.end() - 1
        inner = re.sub(r"\{[^{}]*\}", "", file.code[opening + 1:source.closing(file.code, opening)])
        if ";" in inner:
            yield file.line_of(match.start()), "statement expression: write a function"


def folder_prefix(file):
    """Files of a folder carry no prefix of the folder."""
    if not file.is_product or not file.path.startswith("src/"):
        return
    folder, name = os.path.split(file.path)
    if name.startswith(os.path.basename(folder) + "_"):
        yield 1, "the file repeats the name of its folder"


RULES = {
    "banned-call": banned_call,
    "banned-word": banned_word,
    "pragma-once": pragma_once,
    "await-ternary": await_ternary,
    "await-brace": await_brace,
    "lambda-coroutine": lambda_coroutine,
    "statement-expression": statement_expression,
    "folder-prefix": folder_prefix,
}
