# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Rules about a file as text: sizes, licence, names, blanks. A rule is a generator of (line, message) over one SourceFile."""

import ast
import os
import re

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 140
PARAMETERS_MAX = 5
CODE_ENDINGS = (".h", ".cc", ".py", ".cmake", ".sh", ".lua")
CODE_NAMES = ("CMakeLists.txt", "Makefile", "configure", "run", ".clang-tidy")


def is_code(file):
    return file.path.endswith(CODE_ENDINGS) or os.path.basename(file.path) in CODE_NAMES


def file_length(file):
    if is_code(file) and len(file.lines) - 1 > FILE_LINES_MAX:
        yield FILE_LINES_MAX + 1, f"file of {len(file.lines) - 1} lines, at most {FILE_LINES_MAX}"


def function_length(file):
    if file.is_cpp:
        for f in file.functions:
            if f.body is not None:
                first, last = file.line_of(f.start), file.line_of(f.end)
                if last - first + 1 > FUNCTION_LINES_MAX:
                    yield first, f"function of {last - first + 1} lines, at most {FUNCTION_LINES_MAX}"
    elif file.path.endswith(".py"):
        for node in ast.walk(ast.parse(file.text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX:
                yield node.lineno, f"function of {node.end_lineno - node.lineno + 1} lines, at most {FUNCTION_LINES_MAX}"


def line_length(file):
    if is_code(file):
        for number, line in enumerate(file.lines, 1):
            if len(line) > COLUMNS_MAX:
                yield number, f"line of {len(line)} columns, at most {COLUMNS_MAX}"


def parameter_count(file):
    if file.is_cpp:
        for f in file.functions:
            if f.parameters() > PARAMETERS_MAX and (f.body is not None or f.declares_names()):
                yield file.line_of(f.start), f"{f.parameters()} parameters, at most {PARAMETERS_MAX}"


def licence(file):
    if not is_code(file) or not file.text.strip():
        return
    top = "\n".join(file.lines[:4])
    if "SPDX-License-Identifier: BSD-2-Clause" not in top:
        yield 1, "no line `SPDX-License-Identifier: BSD-2-Clause` at the top"
    if "Copyright (C) The Fairlead authors" not in top:
        yield 1, "no line `Copyright (C) The Fairlead authors` at the top"


def _has_header(file):
    """Whether a .cc includes its own header first: the header then says what both are."""
    own = os.path.basename(file.path).replace(".cc", ".h")
    return file.path.endswith(".cc") and bool(file.includes) and file.includes[0][1].strip('"').endswith("/" + own)


def opening(file):
    """A product file says what it is before anything else."""
    if not file.is_product or _has_header(file):
        return
    words = [line for line in file.lines[2:8] if re.match(r"//\s*\S", line)]
    if not words:
        yield 3, "the file does not open with what it is (a comment below the licence lines)"


def blanks(file):
    if not is_code(file) and not file.path.endswith((".md", ".conf", ".json")):
        return
    for number, line in enumerate(file.lines, 1):
        if line != line.rstrip():
            yield number, "blank at the end of the line"
        if "\t" in line and os.path.basename(file.path) != "Makefile":
            yield number, "tab"
    if file.text and not file.text.endswith("\n"):
        yield len(file.lines), "no newline at the end of the file"
    if file.text.endswith("\n\n"):
        yield len(file.lines) - 1, "empty line at the end of the file"


# Put together here so that this file does not hold what it looks for.
_MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:" + "|".join(("work", "root", r"home/\w+")) + ")/")


def machine_path(file):
    for number, line in enumerate(file.lines, 1):
        if _MACHINE_PATH.search(line):
            yield number, "path of one machine"


FORBIDDEN_WORDS = {"manager", "util", "utils", "helper", "helpers", "misc", "common", "impl", "data", "info", "ctx", "handler"}


def _words(name):
    return {w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


_TYPE_NAME = re.compile(
    r"\b(?:class|struct|union|enum(?:\s+class)?)\s+(?:\[\[\w+\]\]\s*)?(\w+)\s*(?:final\s*)?[{:]"
    r"|\busing\s+(\w+)\s*=")


def forbidden_name(file):
    if not file.is_cpp:
        return
    for word in sorted(_words(os.path.basename(file.path).rsplit(".", 1)[0]) & FORBIDDEN_WORDS):
        yield 1, f"`{word}` in a file's name says nothing"
    for match in _TYPE_NAME.finditer(file.code):
        name = match.group(1) or match.group(2)
        for word in sorted(_words(name) & FORBIDDEN_WORDS):
            yield file.line_of(match.start()), f"`{word}` in the type name {name} says nothing"


def lost_reference(file):
    for match in re.finditer(r"\bARCHITECTURE\b|\b(?:features|compat|lua-api)\.md\b", file.text if file.is_cpp else ""):
        yield file.line_of(match.start()), f"{match.group()} is not in this tree: say the rule here"


RULES = {
    "file-length": file_length,
    "function-length": function_length,
    "line-length": line_length,
    "parameters": parameter_count,
    "licence": licence,
    "opening": opening,
    "blanks": blanks,
    "machine-path": machine_path,
    "forbidden-name": forbidden_name,
    "lost-reference": lost_reference,
}
