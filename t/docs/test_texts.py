# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What the READMEs and the manual say about files of the tree is true: quoted files, paths, functions, words, options."""

import glob
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
READMES = ("README.md", "src/README.md", "modules/README.md", "t/README.md")
# Places of the tree that a text may name without being a link.
TOPS = ("src", "modules", "t", "conf", "man")
MADE_BY_THE_BUILD = ("build/",)


def read(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def code(*tops):
    """All C++ below these folders."""
    return "".join(read(path) for top in tops for kind in ("h", "cc") for path in glob.glob(f"{ROOT}/{top}/**/*.{kind}", recursive=True))


def blocks(path, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", read(path), re.M | re.S)


def section(path, title):
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", read(path), re.M | re.S)
    assert found, f"{path} has no section {title!r}"
    return found.group(1)


def test_the_quoted_files_are_the_files():
    assert read("conf/examples/sidecar.conf") in blocks("README.md", "nginx")
    assert read("t/example_module/example_header.cc") in blocks("modules/README.md", "cpp")


def test_the_functions_that_are_shown_have_those_lines():
    shown, = blocks("src/README.md", "cpp")
    source = "".join(read(path) for path in ("src/http/h1/server.cc", "src/http/forward/forward.cc", "src/http/forward/relay.cc"))
    lines = [re.sub(r"\.\.\.$", "", line).strip() for line in re.sub(r" *//.*", "", shown).splitlines()]
    assert len(lines) > 20 and [line for line in lines if line not in source] == []


def exists(path, readme):
    here = os.path.dirname(readme)
    places = (path, os.path.join(here, path), os.path.join("src", path), os.path.join("modules", path))
    return any(glob.glob(os.path.join(ROOT, place)) for place in places)


@pytest.mark.parametrize("readme", READMES)
def test_the_links_lead_somewhere(readme):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", read(readme)) if "://" not in link]
    assert links or readme == "t/README.md", "no links: the pattern is wrong or the README is"
    missing = [link for link in links if not os.path.exists(os.path.join(ROOT, os.path.dirname(readme), link.partition("#")[0]))]
    assert not missing


def paths_in(readme):
    """Code spans that look like a path of the tree: they begin at its top or at a folder of src; placeholders are left out."""
    tops = TOPS + tuple(name for name in os.listdir(os.path.join(ROOT, "src")) if os.path.isdir(os.path.join(ROOT, "src", name)))
    prose = re.sub(r"^```.*?^```$", "", read(readme), flags=re.M | re.S)
    for span in re.findall(r"`([^`\n]+)`", prose):
        if re.fullmatch(r"[\w./*-]+", span) and span.split("/")[0] in tops and "/" in span and not re.search(r"[A-Z]{2}", span):
            yield span


@pytest.mark.parametrize("readme", READMES)
def test_the_paths_exist(readme):
    missing = [path for path in paths_in(readme) if not exists(path, readme) and not path.startswith(MADE_BY_THE_BUILD)]
    assert not missing


def test_the_functions_of_the_page_of_a_request_are_where_it_says():
    page = re.search(r"^```\n(.*?)^```$", section("src/README.md", "One proxied request"), re.M | re.S).group(1)
    rows = [re.match(r"(\S+)\s+((?:[\w:]+, )*[\w:]+)", line) for line in page.splitlines()]
    assert len(rows) > 10 and all(rows)
    for row in rows:
        path, names = row.groups()
        source = read(path if path.startswith("modules/") else "src/" + path)
        for name in names.split(", "):
            assert re.search(rf"^(?:static )?[\w<>:]+ {re.escape(name)}\(", source, re.M), f"{name} is not defined in {path}"


def test_the_words_are_names_of_the_code():
    words = [word for cell in re.findall(r"^\| ([^|]+) \|", section("src/README.md", "Words"), re.M)[1:] for word in cell.split(", ")]
    types = [word for word in words if re.match(r"[A-Z]", word)]
    assert len(types) > 25
    source = code("src")
    assert not [word for word in types if not re.search(rf"\b(?:class|struct|using) (?:\[\[nodiscard\]\] )?{word}\b", source)]


def test_the_functions_that_readmes_name_are_there():
    """`name()` and `Type::name` in code spans of the READMEs."""
    source = code("src", "modules")
    missing = []
    for readme in ("src/README.md", "modules/README.md"):
        for span in re.findall(r"`([^`\n]+)`", read(readme)):
            name = re.fullmatch(r"(?:\w+::)?(\w+)(?:<\w+>)?\(\)|\w+::(\w+)(?:<\w+>)?", span)
            if name and not re.search(rf"\b{name.group(1) or name.group(2)}\b", source):
                missing.append(f"{readme}: {span}")
    assert not missing


@pytest.fixture(scope="module")
def manual():
    command = ["groff", "-ww", "-man", "-Tascii", "-P-cbou", os.path.join(ROOT, "man/fairlead.8")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""
    return done.stdout


def test_the_manual_names_every_option(manual):
    usage = re.findall(r'"  (-\S+) [^"]*: ', read("src/core/process/cmdline.cc"))
    options = [option.partition("=")[0] for group in usage for option in group.split(",")]
    assert "-t" in options and "--no-wait" in options
    assert not [option for option in options if not re.search(rf"(?m)^ +(?:.*, )?{re.escape(option)}(?![\w-])", manual)]


def test_the_manual_names_every_signal_and_variable(manual):
    signals = re.findall(r"\bSIG(TERM|INT|QUIT|HUP|USR1|USR2|WINCH)\b", read("src/core/process/signals.cc"))
    assert len(set(signals)) == 7
    names = set(signals) | set(re.findall(r'getenv\("(\w+)"\)', read("src/core/process/listen_set.cc")))
    assert names and not [name for name in names if name not in manual]


def test_the_version_of_the_manual_is_ours():
    version = re.search(r"project\(fairlead VERSION (\S+)", read("CMakeLists.txt")).group(1)
    assert f'"Fairlead {version}"' in read("man/fairlead.8")


def test_make_targets_in_texts_exist():
    targets = set(re.findall(r"^(\w[\w-]*):", read("Makefile"), re.M))
    named = {name for readme in READMES for name in re.findall(r"`(?:[^`\n]*&& )?make (\w+)", read(readme))}
    assert named and named <= targets


def test_an_area_said_to_be_not_built_has_no_directive():
    reference = read("man/directives.md")
    areas = re.findall(r"^- `(\w+)(\*?)`: ", reference[reference.index("## Not built"):], re.M)
    off = set(re.findall(r"^- Syntax: `(\w+) off;`$", reference, re.M))  # which is the case
    names = [name for name in re.findall(r"^### (\w+)$", reference, re.M) if name not in off]
    assert ("fastcgi_", "*") in areas and "proxy_pass" in names
    for word, many in areas:
        assert not [name for name in names if (name.startswith(word) if many else name == word)], word
