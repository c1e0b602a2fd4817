# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""trace_context and otel_trace_context: W3C's and B3's fields are taken over, made, passed on; $trace_id and its like."""

import re

import pytest

from lib import upstreams as up
from lib.client import get
from lib.ports import wait_until

CONF = """
events {}
http {
    log_format trace "$trace_id $span_id $parent_span_id $trace_sampled $otel_parent_sampled";
    access_log %%PREFIX%%/logs/access.log trace;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        %%TRACE%%
        location / { proxy_pass http://127.0.0.1:%%UP%%; }
        location /off { trace_context off; otel_trace_context ignore; proxy_pass http://127.0.0.1:%%UP%%; }
        location /late { otel_trace_context extract; proxy_pass http://127.0.0.1:%%UP%%; }
        location /later { otel_trace_context extract; try_files /none /injected; }
        location /injected { otel_trace_context inject; proxy_pass http://127.0.0.1:%%UP%%; }
        location /auth { auth_request /service; proxy_pass http://127.0.0.1:%%UP%%; }
        location = /service { internal; proxy_pass http://127.0.0.1:%%UP%%; }
        location /moved { error_page 404 = @there; return 404; }
        location @there { proxy_pass http://127.0.0.1:%%UP%%; }
    }
}
"""
TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "05e3ac9a4f6e3b90"
W3C = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def traced(server, upstream):
    def start(trace):
        u = upstream(up.serve(lambda request: up.reply(200, "ok")))
        return server(CONF, TRACE=trace, UP=u.port), u
    return start


def ask(s, u, path="/", **fields):
    """What the upstream was sent, and the words of the log line."""
    lines = len(s.read("logs/access.log").splitlines())
    assert get(s.port, path, headers=[(name.replace("_", "-"), value) for name, value in fields.items()]).status == 200
    wait_until(lambda: len(s.read("logs/access.log").splitlines()) > lines, 5, "the log")
    return u.requests[-1], s.read("logs/access.log").splitlines()[-1].split()


def parts(traceparent):
    found = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", traceparent)
    assert found, traceparent
    return found.groups()


def test_a_context_of_w3c_goes_on_with_our_span(traced):
    s, u = traced("trace_context w3c;")
    seen, logged = ask(s, u, traceparent=W3C, tracestate="a=1,b=2")
    trace, span, flags = parts(seen.header("traceparent"))
    assert trace == TRACE and span != SPAN and flags == "01"
    assert seen.header("tracestate") == "a=1,b=2"
    assert logged == [TRACE, span, SPAN, "1", "1"]


def test_a_decision_not_to_sample_goes_on(traced):
    s, u = traced("trace_context w3c;")
    seen, logged = ask(s, u, traceparent=W3C[:-2] + "00")
    assert parts(seen.header("traceparent"))[2] == "00" and logged[3:] == ["0", "0"]


@pytest.mark.parametrize("fields", [
    {}, {"traceparent": "nonsense"}, {"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
    {"traceparent": f"ff-{TRACE}-{SPAN}-01"}, {"traceparent": W3C.upper()}, {"traceparent": W3C + "-more"}, {"traceparent": W3C[:-1]},
])
def test_a_context_is_made_where_there_is_none_or_an_invalid_one(traced, fields):
    s, u = traced("trace_context w3c;")
    seen, logged = ask(s, u, tracestate="a=1", **fields)
    trace, span, flags = parts(seen.header("traceparent"))
    assert trace not in (TRACE, "0" * 32) and span != SPAN and flags == "03"
    assert seen.header("tracestate") is None, "belongs to a trace that is not known"
    assert logged == [trace, span, "-", "1", "-"]


def test_a_version_to_come_is_read_as_far_as_it_is_known(traced):
    s, u = traced("trace_context w3c;")
    seen, _ = ask(s, u, traceparent=f"cc-{TRACE}-{SPAN}-01-what-the-future-brings")
    assert parts(seen.header("traceparent"))[0] == TRACE


def test_traces_differ(traced):
    s, u = traced("trace_context w3c;")
    assert len({ask(s, u)[1][0] for _ in range(20)}) == 20


@pytest.mark.parametrize("value, trace, sampled", [
    (f"{TRACE}-{SPAN}-1", TRACE, "1"), (f"{TRACE}-{SPAN}-0", TRACE, "0"), (f"{TRACE}-{SPAN}-d", TRACE, "d"), ("d", None, "d"),
    (f"{TRACE}-{SPAN}-1-{PARENT}", TRACE, "1"), (f"{TRACE}-{SPAN}", TRACE, "1"),
    (f"{TRACE[16:]}-{SPAN}-1", "0" * 16 + TRACE[16:], "1"),
    ("0", None, "0"), ("1", None, "1"), (f"{TRACE}-{SPAN}-x", None, "1"), (f"{TRACE}-1", None, "1"), (f"{TRACE}-{SPAN}-1-x", None, "1"),
])
def test_the_one_field_of_b3(traced, value, trace, sampled):
    s, u = traced("trace_context b3;")
    seen, logged = ask(s, u, b3=value)
    found = re.fullmatch(r"([0-9a-f]{32})-([0-9a-f]{16})-([01d])", seen.header("b3"))
    assert found and found.group(3) == sampled and found.group(2) != SPAN
    assert found.group(1) == trace if trace else found.group(1) != TRACE
    assert logged[:4] == [found.group(1), found.group(2), SPAN if trace else "-", sampled.replace("d", "1")]
    assert seen.header("traceparent") is None


@pytest.mark.parametrize("fields, trace, sampled", [
    ({"X_B3_Sampled": "1"}, TRACE, "1"), ({"X_B3_Sampled": "0"}, TRACE, "0"), ({"X_B3_Flags": "1"}, TRACE, None),
    ({"X_B3_Flags": "1", "X_B3_Sampled": "1"}, TRACE, None),
    ({"X_B3_SpanId": "x"}, None, "1"), ({"X_B3_TraceId": TRACE[:-1], "X_B3_Sampled": "0"}, None, "0"),
])
def test_the_many_fields_of_b3(traced, fields, trace, sampled):
    s, u = traced("trace_context b3multi;")
    seen, _ = ask(s, u, **{"X_B3_TraceId": TRACE, "X_B3_SpanId": SPAN, "X_B3_ParentSpanId": PARENT, **fields})
    assert (seen.header("X-B3-TraceId") == TRACE) == bool(trace)
    assert re.fullmatch(r"[0-9a-f]{16}", seen.header("X-B3-SpanId")) and seen.header("X-B3-SpanId") != SPAN
    assert seen.header("X-B3-ParentSpanId") == (SPAN if trace else None)
    is_debug = sampled is None  # which implies the decision
    assert (seen.header("X-B3-Sampled"), seen.header("X-B3-Flags")) == (sampled, "1" if is_debug else None)


def test_what_comes_in_one_format_goes_on_in_all(traced):
    s, u = traced("trace_context w3c b3 b3multi;")
    seen, logged = ask(s, u, b3=f"{TRACE}-{SPAN}-1")
    trace, span, _ = parts(seen.header("traceparent"))
    assert (trace, span) == (TRACE, logged[1])
    assert seen.header("b3") == f"{TRACE}-{span}-1"
    assert (seen.header("X-B3-TraceId"), seen.header("X-B3-SpanId"), seen.header("X-B3-ParentSpanId")) == (TRACE, span, SPAN)


@pytest.mark.parametrize("mode, takes_over, passes_on", [("extract", True, False), ("inject", False, True), ("propagate", True, True),
                                                        ("ignore", False, False)])
def test_the_modes_of_nginx(traced, mode, takes_over, passes_on):
    s, u = traced(f"otel_trace_context {mode};")
    seen, logged = ask(s, u, traceparent=W3C, tracestate="a=1")
    assert (logged[0] == TRACE) == takes_over and logged[2] == (SPAN if takes_over else "-")
    if passes_on:
        assert parts(seen.header("traceparent"))[:2] == tuple(logged[:2])
        assert seen.header("tracestate") == ("a=1" if takes_over else None)
    else:
        assert seen.header("traceparent") == W3C and seen.header("tracestate") == "a=1"


def test_an_early_look_does_not_keep_a_location_from_taking_it_over(traced):
    s, u = traced("set $early $trace_id;")
    seen, logged = ask(s, u, "/late", traceparent=W3C)
    assert (logged[0], logged[2], seen.header("traceparent")) == (TRACE, SPAN, W3C)
    seen, logged = ask(s, u, "/later", traceparent=W3C)
    assert parts(seen.header("traceparent"))[:2] == (TRACE, logged[1])


def test_without_it_nothing_is_touched(traced):
    s, u = traced("trace_context w3c b3;")
    seen, _ = ask(s, u, "/off", traceparent="nonsense", b3="nonsense")
    assert (seen.header("traceparent"), seen.header("b3")) == ("nonsense", "nonsense")
    seen, _ = ask(s, u, "/off")
    assert seen.header("traceparent") is None and seen.header("b3") is None


def test_what_a_request_makes_inside_is_part_of_its_trace(traced):
    s, u = traced("trace_context w3c;")
    ask(s, u, "/auth", traceparent=W3C)
    asked, passed = u.requests
    assert asked.header("traceparent") == passed.header("traceparent") and parts(asked.header("traceparent"))[0] == TRACE


def test_a_redirect_inside_changes_nothing(traced):
    s, u = traced("trace_context w3c;")
    seen, logged = ask(s, u, "/moved", traceparent=W3C)
    assert parts(seen.header("traceparent"))[:2] == tuple(logged[:2]) and logged[2] == SPAN


def test_two_fields_are_none(traced):
    s, u = traced("trace_context w3c;")
    get(s.port, "/", headers=[("traceparent", W3C), ("traceparent", W3C)])
    assert parts(u.requests[-1].header("traceparent"))[0] != TRACE
