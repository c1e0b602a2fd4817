# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A source file as the rules see it: its lines, its code without comments and literals, its functions.

The reading of C++ is an approximation by braces and parentheses, good enough for the style of this tree; no rule lives here.
"""

import bisect
import functools
import re

CPP = (".h", ".cc")

_LITERAL = re.compile(
    r'//[^\n]*'
    r'|/\*.*?\*/'
    r'|R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.S)


def _blank(match):
    text = match.group()
    if text.startswith(("//", "/*")):
        return re.sub(r"[^\n]", " ", text)
    inner = re.sub(r"[^\n]", " ", text[1:-1])
    return text[0] + inner + text[-1] if text[0] != "R" else '"' + inner[:-1] + ' "'


def without_literals(text):
    """The text with comments and the insides of literals blanked; every offset and line number stays."""
    return _LITERAL.sub(_blank, text)


def _without_preprocessor(code):
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: re.sub(r"[^\n]", " ", m.group()), code, flags=re.M)


def closing(code, opening):
    """The offset of the bracket that closes the one at `opening`, or the end of the text."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    want, depth = (code[opening], pairs[code[opening]]), 0
    for at in range(opening, len(code)):
        if code[at] == want[0]:
            depth += 1
        elif code[at] == want[1]:
            depth -= 1
            if depth == 0:
                return at
    return len(code) - 1


class Function:
    """One function definition or declaration: its head, where its body lies (None for a declaration)."""

    def __init__(self, head, start, body, end):
        self.head, self.start, self.body, self.end = head, start, body, end

    def parameters(self):
        return _parameter_count(self.head)

    def declares_names(self):
        """Whether the parentheses hold `type name` anywhere: an object made by a constructor call reads like a declaration."""
        head = _drop_noise(self.head)
        return bool(re.search(r"[\w>&*]\s+[\w&*]", head[head.find("("):]))


_NOISE = re.compile(r"\b(?:alignas|explicit|decltype|__attribute__|noexcept|requires|sizeof)\s*(?=\()")


def _drop_noise(head):
    while match := _NOISE.search(head):
        end = closing(head, match.end())
        head = head[:match.start()] + head[end + 1:]
    return re.sub(r"operator\s*\(\s*\)", "operator_call", head)


def _parameter_count(head):
    head = _drop_noise(head)
    opening = head.find("(")
    if opening < 0:
        return 0
    inner = head[opening + 1:closing(head, opening)]
    if not inner.strip() or inner.strip() == "void":
        return 0
    depth = commas = 0
    for at, c in enumerate(inner):
        if c in "([{" or (c == "<" and inner[at - 1:at + 2] not in ("<<", " < ")):
            depth += 1
        elif c in ")]}" or (c == ">" and inner[at - 1:at + 1] != "->" and depth > 0):
            depth -= 1
        elif c == "," and depth == 0:
            commas += 1
    return commas + 1


_TAIL = re.compile(
    r"\)\s*(?:(?:const|noexcept|override|final|mutable|constexpr|&&?|requires\b[^;{]*|->\s*[\w:<>,\s*&]+)\s*)*$")
_TYPE = re.compile(
    r"^(?:template\s*<.*?>\s*)*(?:typedef\s+|static\s+|inline\s+|constinit\s+|const\s+|constexpr\s+)*(?:class|struct|union|enum)\b", re.S)
_INIT_LIST = re.compile(r"\)\s*(?:noexcept\s*)?:(?!:)")


def _kind(head):
    """What a `{` opens at namespace or class level, told by the text before it."""
    head = head.strip()
    if re.search(r"\bnamespace\b", head) or re.fullmatch(r'extern\s*"\s*"', head):
        return "scope"
    if _TYPE.match(head) and not _TAIL.search(_drop_noise(head)) and "=" not in head:
        return "scope"
    if _TAIL.search(_drop_noise(head)):
        return "function"
    if _INIT_LIST.search(head) and head.endswith(("}", ")")):
        return "function"
    return "initialiser"


def _skip_labels(head):
    return re.sub(r"^\s*(?:(?:public|private|protected)\s*:\s*)+", lambda m: " " * len(m.group()), head)


def functions_of(code):
    """Definitions and declarations at namespace and class level, in order."""
    code = _without_preprocessor(code)
    found, start, at = [], 0, 0
    while at < len(code):
        c = code[at]
        if c in "([":
            at = closing(code, at)
        elif c == "{":
            head = _skip_labels(code[start:at])
            kind = _kind(head)
            if kind == "scope":
                start = at + 1
            else:
                end = closing(code, at)
                if kind == "function":
                    found.append(Function(head, start + len(head) - len(head.lstrip()), at, end))
                    start = end + 1
                at = end
        elif c in ";}":
            head = _skip_labels(code[start:at])
            if c == ";" and "=" not in head and _TAIL.search(_drop_noise(head)) and not re.match(r"\s*[A-Z_]+\s*\(", head):
                found.append(Function(head, start + len(head) - len(head.lstrip()), None, at))
            start = at + 1
        at += 1
    return found


_INCLUDE = re.compile(r'\s*#\s*include\s+(<[^>]+>|"[^"]+")')


class SourceFile:
    def __init__(self, path, text):
        self.path, self.text = path, text
        self.lines = text.split("\n")
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    @property
    def is_cpp(self):
        return self.path.endswith(CPP)

    @property
    def is_product(self):
        return self.is_cpp and self.path.startswith(("src/", "modules/"))

    @functools.cached_property
    def code(self):
        return without_literals(self.text)

    @functools.cached_property
    def functions(self):
        return functions_of(self.code)

    @functools.cached_property
    def includes(self):
        """(line, name with its quotes or angle brackets)"""
        return [(n, m.group(1)) for n, line in enumerate(self.lines, 1) if (m := _INCLUDE.match(line))]

    def line_of(self, offset):
        return bisect.bisect_right(self._starts, offset)

    @property
    def room(self):
        parts = self.path.split("/")
        if parts[0] == "src":
            return parts[1] if len(parts) > 2 else "main"
        return "modules" if parts[0] == "modules" else None
