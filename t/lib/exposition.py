# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""A strict reader of Prometheus text 0.0.4 and OpenMetrics 1.0: what a scraper may refuse fails the test."""

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_NUMBER = re.compile(r"(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)")


def _labels(text, line):
    labels, at = {}, 0
    while at < len(text):
        found = _LABEL.match(text, at)
        assert found, f"bad labels: {line!r}"
        assert found.group(1) not in labels, f"a label twice: {line!r}"
        labels[found.group(1)] = re.sub(r'\\([\\"n])', lambda m: {"n": "\n"}.get(m.group(1), m.group(1)), found.group(2))
        at = found.end()
        if at < len(text):
            assert text[at] == ",", f"no comma between labels: {line!r}"
            at += 1
    return labels


def _family_of(sample, kind, openmetrics):
    """The name of the family that a sample of this name belongs to."""
    if kind == "histogram":
        found = re.fullmatch(r"(.*)_(?:bucket|sum|count)", sample)
        return found.group(1) if found else None
    if kind == "counter" and openmetrics:
        return sample[:-len("_total")] if sample.endswith("_total") else None
    return sample


def _check_histograms(family, samples):
    """Per series: buckets rise, end with +Inf, and +Inf is the count."""
    series = {}
    for name, labels, value in samples:
        key = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        series.setdefault(key, {"bucket": [], "sum": None, "count": None})
        part = name[len(family) + 1:]
        if part == "bucket":
            series[key]["bucket"].append((float(labels["le"].replace("Inf", "inf")), value))
        else:
            assert series[key][part] is None, f"{name} twice for {key}"
            series[key][part] = value
    for key, parts in series.items():
        bounds = [b for b, _ in parts["bucket"]]
        counts = [c for _, c in parts["bucket"]]
        assert bounds == sorted(set(bounds)) and counts == sorted(counts), f"{family} {key}: {parts['bucket']}"
        assert bounds[-1] == float("inf") and counts[-1] == parts["count"] and parts["sum"] is not None, f"{family} {key}: {parts}"


def read(text, openmetrics=False):
    """{sample name with its labels as written: value}; asserts everything else."""
    assert text.endswith("\n") and "\r" not in text
    lines = text.split("\n")[:-1]
    if openmetrics:
        assert lines.pop() == "# EOF"
    families, samples, current, seen = {}, {}, None, {}
    for line in lines:
        meta = re.fullmatch(rf"# (HELP|TYPE|UNIT) ({_NAME}) (.*)", line)
        if meta:
            what, name, rest = meta.groups()
            if name != current:
                assert name not in families, f"family {name} comes twice"
                families[name], current = {}, name
            assert what not in families[name] and not seen.get(name), f"{what} of {name} twice or behind its samples"
            families[name][what] = rest
            if what == "TYPE":
                assert rest in ("counter", "gauge", "histogram"), line
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample and current, f"no sample: {line!r}"
        name, labels, value = sample.group(1), _labels(sample.group(2) or "", line), sample.group(3)
        assert _NUMBER.fullmatch(value), line
        kind = families[current].get("TYPE")
        assert kind and _family_of(name, kind, openmetrics) == current, f"{name} is not of {current} ({kind})"
        key = name + (f"{{{sample.group(2)}}}" if sample.group(2) else "")
        assert key not in samples, f"{key} twice"
        number = float(value.replace("Inf", "inf"))
        assert kind == "gauge" or number >= 0, line
        samples[key] = number
        seen.setdefault(current, []).append((name, labels, number))
    for name, family in families.items():
        assert "HELP" in family and "TYPE" in family and seen.get(name), f"{name} has no help, type or sample"
        if family["TYPE"] == "histogram":
            _check_histograms(name, seen[name])
    return samples
