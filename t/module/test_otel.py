# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""otel_*: spans on the wire as a collector sees them. The messages are read by a decoder of our own, from opentelemetry-proto v1."""

import re
import struct
import threading
import time

import pytest

from lib import upstreams as up
from lib.certs import Authority
from lib.client import Client, get, raw, request
from lib.ports import wait_until

CONF = """
worker_shutdown_timeout 20s;
events {}
http {
    otel_exporter {
        endpoint %%ENDPOINT%%;
        interval 50ms;
        %%EXPORTER%%
    }
    upstream both { server 127.0.0.1:%%DEAD%% max_fails=0; server 127.0.0.1:%%UP%% backup; }
    upstream busy { server 127.0.0.1:%%UP%%; server 127.0.0.1:%%UP%%; server 127.0.0.1:%%UP%%; }
    upstream none { server 127.0.0.1:%%DEAD%% down; }
    otel_service_name shop;
    otel_resource_attr deployment.environment test;
    otel_trace on;
    log_format trace "$otel_trace_id $otel_span_id $otel_parent_id";
    access_log %%PREFIX%%/logs/access.log trace;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name shop.test;
        location / { otel_trace_context propagate; proxy_pass http://127.0.0.1:%%UP%%; }
        location /named { otel_span_name "name $uri"; otel_span_attr user.id "u-$arg_id"; otel_span_attr b "2"; return 200 "x"; }
        location /chosen { otel_trace $arg_on; return 200; }
        location /never { otel_trace off; return 200; }
        location /like_parent { otel_trace $otel_parent_sampled; otel_trace_context extract; return 200; }
        location /bad { return 503; }
        location /tries { otel_upstream_spans on; proxy_pass http://both; }
        location /told {
            otel_upstream_spans on; trace_context w3c b3 b3multi;
            proxy_pass http://busy; proxy_next_upstream http_503 non_idempotent; auth_request /inner;
        }
        location = /inner { proxy_pass http://127.0.0.1:%%UP%%/inner; }
        location /nobody { otel_upstream_spans on; proxy_pass http://none; }
        location /metrics { otel_trace off; metrics; }
    }
}
"""
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


# ---- the wire format

def fields_of(data):
    """(number, value) of a message: integers and byte strings."""
    at, found = 0, []

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value
    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            found.append((tag >> 3, varint()))
        elif tag & 7 == 1:
            found.append((tag >> 3, struct.unpack_from("<Q", data, at)[0]))
            at += 8
        else:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            size = varint()
            assert at + size <= len(data), "a field is longer than its message"
            found.append((tag >> 3, data[at:at + size]))
            at += size
    return found


def only(data, number, default=None):
    values = [value for field, value in fields_of(data) if field == number]
    assert len(values) <= 1
    return values[0] if values else default


def many(data, number):
    return [value for field, value in fields_of(data) if field == number]


def attributes_of(data, number):
    found = {}
    for pair in many(data, number):
        ((kind, value),) = fields_of(only(pair, 2))
        assert kind in (1, 3)
        found[only(pair, 1).decode()] = value.decode() if kind == 1 else value
    return found


class Span:
    def __init__(self, data):
        self.trace, self.id, self.parent = only(data, 1).hex(), only(data, 2).hex(), only(data, 4, b"").hex()
        self.state, self.name, self.kind = only(data, 3, b"").decode(), only(data, 5).decode(), only(data, 6)
        self.start, self.end = only(data, 7), only(data, 8)
        self.attributes = attributes_of(data, 9)
        self.failed = only(only(data, 15, b""), 3) == 2


class Export:
    def __init__(self, data):
        (resource_spans,) = many(data, 1)
        self.resource = attributes_of(only(resource_spans, 1), 1)
        (scope_spans,) = many(resource_spans, 2)
        self.scope = (only(only(scope_spans, 1), 1).decode(), only(only(scope_spans, 1), 2).decode())
        self.spans = [Span(span) for span in many(scope_spans, 2)]


class Collector:
    """What came, whether over gRPC or HTTP."""

    def __init__(self):
        self.exports, self.seen = [], []
        self.go = threading.Event()
        self.go.set()
        self.status = "0"
        self.answer = b""  # an ExportTraceServiceResponse

    def grpc(self, stream):
        self.seen.append(stream)
        flag, size = struct.unpack(">BI", stream.body[:5])
        assert flag == 0 and size == len(stream.body) - 5
        self.exports.append(Export(stream.body[5:]))
        self.go.wait(60)
        stream.reply(200, struct.pack(">BI", 0, len(self.answer)) + self.answer, [("content-type", "application/grpc")],
                     [("grpc-status", self.status), ("grpc-message", "x")])

    def http(self, asked):
        self.seen.append(asked)
        self.exports.append(Export(asked.body))
        return up.reply(int(self.status) or 200, self.answer)

    @property
    def spans(self):
        return [span for export in self.exports for span in export.spans]

    def wait(self, count):
        wait_until(lambda: len(self.spans) >= count, 10, f"{count} spans")
        return self.spans


@pytest.fixture
def traced(server, upstream, h2_upstream):
    def start(exporter="", protocol="grpc", tls=None, **names):
        collector = Collector()
        if protocol == "grpc":
            at = h2_upstream(collector.grpc, tls=tls)
        else:
            at = upstream(up.serve(collector.http), tls=tls)
            exporter += "protocol http;"
        u = upstream(up.serve(lambda request: up.reply(503 if request.target.startswith("/told?fail") and len(u.requests) < 4 else 200,
                                                       request.header("traceparent") or "none")))
        dead = upstream()
        dead.refuse()
        endpoint = names.pop("endpoint", "127.0.0.1:%d") % at.port
        s = server(CONF, ENDPOINT=endpoint, EXPORTER=exporter, UP=u.port, DEAD=dead.port, **names)
        collector.upstream, collector.app = at, u
        s.wait_workers()
        return s, collector
    return start


def counted(s, result):
    found = re.search(rf'fairlead_otel_spans_total\{{result="{result}"\}} (\d+)', get(s.port, "/metrics").text)
    return int(found.group(1)) if found else 0


# ---- spans

def test_a_request_is_a_span(traced):
    s, collector = traced()
    before = time.time_ns()
    answer = get(s.port, "/a/b?c=d", host="shop.test:81", headers={"User-Agent": "tester", "traceparent": f"00-{TRACE}-{SPAN}-01",
                                                                   "tracestate": "x=y"})
    (span,) = collector.wait(1)
    after = time.time_ns()
    assert (span.trace, span.parent, span.state, span.kind, span.failed) == (TRACE, SPAN, "x=y", 2, False)
    assert answer.text == f"00-{TRACE}-{span.id}-01"
    assert span.name == "/"
    assert before - 2_000_000_000 < span.start <= span.end < after + 1_000_000_000
    host, port = "127.0.0.1", span.attributes.pop("net.sock.peer.port")
    assert 0 < port < 65536
    assert span.attributes == {
        "http.method": "GET", "http.target": "/a/b?c=d", "http.route": "/", "http.scheme": "http", "http.flavor": "1.1",
        "http.user_agent": "tester", "http.response_content_length": len(answer.text), "http.status_code": 200,
        "net.host.name": "shop.test", "net.host.port": s.port, "net.sock.peer.addr": host}
    (export,) = collector.exports
    assert export.resource == {"service.name": "shop", "deployment.environment": "test"}
    assert export.scope[0] == "fairlead"
    wait_until(lambda: s.read("logs/access.log").split() == [span.trace, span.id, SPAN], 5, "the log line")


def test_the_export_request_over_grpc(traced):
    s, collector = traced('header Api-Key "secret";')
    get(s.port, "/named")
    collector.wait(1)
    stream = collector.seen[0]
    assert (stream.header(":method"), stream.path, stream.header(":scheme")) == ("POST", PATH, "http")
    assert stream.header(":authority") == f"127.0.0.1:{collector.upstream.port}"
    assert (stream.header("content-type"), stream.header("te"), stream.header("api-key")) == ("application/grpc", "trailers", "secret")
    wait_until(lambda: counted(s, "exported") == 1, 5, "the count")


@pytest.mark.parametrize("endpoint, path", [("127.0.0.1:%d", "/v1/traces"), ("http://localhost:%d/my/path", "/my/path")])
def test_the_export_request_over_http(traced, endpoint, path):
    s, collector = traced("header Api-Key secret;", "http", endpoint=endpoint)
    get(s.port, "/named")
    (span,) = collector.wait(1)
    asked = collector.seen[0]
    assert (asked.method, asked.target) == ("POST", path)
    assert asked.header("Content-Type") == "application/x-protobuf" and asked.header("Api-Key") == "secret"
    assert asked.header("Host") == (endpoint % collector.upstream.port).split("//")[-1].split("/")[0]
    assert span.name == "name /named"
    wait_until(lambda: counted(s, "exported") == 1, 5, "the count")


def test_names_and_attributes_of_ones_own(traced):
    s, collector = traced()
    get(s.port, "/named/x?id=7")
    (span,) = collector.wait(1)
    assert span.name == "name /named/x" and span.attributes["user.id"] == "u-7" and span.attributes["b"] == "2"
    assert span.parent == "" and span.trace != TRACE


def test_a_failure_is_marked(traced):
    s, collector = traced()
    get(s.port, "/bad")
    (span,) = collector.wait(1)
    assert span.failed and span.attributes["http.status_code"] == 503


MORE = """
        location /cut { otel_upstream_spans on; proxy_pass http://127.0.0.1:%%CUT%%; }
        location /shop.Cart/ { grpc_pass grpc://none; }
        location /shop.Closed/ { return 403; grpc_pass grpc://none; }
        location /asks { otel_upstream_spans on; trace_context w3c; auth_request /part; try_files /none =404; }
        location = /part { otel_upstream_spans on; trace_context w3c; proxy_pass http://127.0.0.1:%%UP%%/part; }
        location /bad"""


def start_more(traced, cut=1):
    s, collector = traced(CUT=cut)
    s.reload(CONF.replace("\n        location /bad", MORE))
    return s, collector


def test_a_response_that_was_cut_is_a_failure(traced, upstream):
    cut = upstream([up.request(), up.send(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nhalf"), up.close()])
    s, collector = start_more(traced, cut.port)
    raw(s.port, b"GET /cut HTTP/1.1\r\nHost: h\r\n\r\n")
    own, tried = collector.wait(2)
    assert own.failed and tried.failed and tried.attributes["upstream.fail_reason"] == "UC"
    assert (own.attributes["http.status_code"], tried.attributes["http.status_code"]) == (200, 200)
    assert (tried.attributes["net.peer.name"], tried.attributes["net.peer.port"]) == ("127.0.0.1", cut.port)


@pytest.mark.parametrize("service, code, failed", [("shop.Cart", 14, True), ("shop.Closed", 7, False)])
def test_a_call_fails_by_its_grpc_status(traced, service, code, failed):
    s, collector = start_more(traced)
    assert request(s.port, "POST", f"/{service}/Add", body=b"", headers={"Content-Type": "application/grpc"}).status == 200
    (span,) = collector.wait(1)
    assert span.failed == failed
    assert {name: value for name, value in span.attributes.items() if name.startswith("rpc.")} == {
        "rpc.system": "grpc", "rpc.service": service, "rpc.method": "Add", "rpc.grpc.status_code": code}


def test_tries_of_subrequests_are_spans_of_their_request(traced):
    s, collector = start_more(traced)
    get(s.port, "/asks")
    tried, own = collector.wait(2)
    assert (tried.kind, tried.parent, own.kind, own.attributes["http.target"]) == (3, own.id, 2, "/asks")
    (seen,) = collector.app.requests
    assert seen.target == "/part" and seen.header("traceparent") == f"00-{own.trace}-{tried.id}-03"


def test_a_refused_head_has_a_name(traced):
    s, collector = traced()
    raw(s.port, b"GET /x HTTP/1.1\r\nHost: h\r\nBad name: x\r\n\r\n")
    assert collector.wait(1)[0].name == "GET"


def test_which_requests_are_recorded(traced):
    s, collector = traced()
    parent = f"00-{TRACE}-{SPAN}-0"
    for path, fields in (("/never", {}), ("/chosen?on=0", {}), ("/chosen", {}), ("/like_parent", {"traceparent": parent + "0"}),
                         ("/chosen?on=1", {}), ("/like_parent", {"traceparent": parent + "1"}), ("/chosen?on=on", {})):
        get(s.port, path, headers=fields)
    spans = collector.wait(3)
    assert [span.attributes["http.target"] for span in spans] == ["/chosen?on=1", "/like_parent", "/chosen?on=on"]


@pytest.mark.parametrize("early", ["set $early $otel_trace_id;", "set $early $otel_parent_sampled;", "set $early $trace_sampled;",
                                   "if ($trace_id) { set $early 1; }", "add_header X-Trace $otel_trace_id always;"])
def test_a_variable_used_before_the_location_is_known_decides_nothing(traced, early):
    s, collector = traced()
    s.reload(CONF.replace("otel_trace on;", "").replace("server_name shop.test;", f"""server_name shop.test; {early}
        location /on {{ otel_trace on; otel_trace_context propagate; proxy_pass http://127.0.0.1:%%UP%%; }}
        location /left {{ rewrite ^ /on/left last; }}
        location /plain {{ otel_trace on; return 200 $trace_sampled; }}
        location /off {{ otel_trace off; otel_trace_context inject; error_page 404 /on; root /none; }}"""))
    parent = [("traceparent", f"00-{TRACE}-{SPAN}-01")]
    passed = {path: get(s.port, path, headers=parent).text for path in ("/on", "/left", "/plain", "/off")}
    spans = {span.attributes["http.target"]: span for span in collector.wait(3)}
    assert set(spans) == {"/on", "/left", "/plain"}, "a redirect does not decide anew"
    for path in ("/on", "/left"):
        assert (spans[path].trace, spans[path].parent) == (TRACE, SPAN)
        assert passed[path] == f"00-{TRACE}-{spans[path].id}-01"
    assert (passed["/plain"], spans["/plain"].parent) == ("1", "")
    assert passed["/off"].endswith("-02"), "not sampled, and ids drawn at random"
    lines = s.read("logs/access.log").splitlines()
    assert f"{spans['/on'].trace} {spans['/on'].id} {spans['/on'].parent}" in lines


def test_tries_are_spans_where_they_are_wanted(traced):
    s, collector = traced()
    get(s.port, "/tries")
    own, first, second = collector.wait(3)
    assert own.kind == 2 and (first.kind, second.kind) == (3, 3)
    assert first.trace == second.trace == own.trace and first.parent == second.parent == own.id
    assert len({own.id, first.id, second.id}) == 3
    assert (first.name, first.failed, first.attributes["upstream.fail_reason"]) == ("both", True, "UF")
    assert (second.failed, second.attributes["http.status_code"]) == (False, 200)
    assert own.start <= first.start <= first.end <= second.end <= own.end + 1_000_000


@pytest.mark.parametrize("method, body", [("GET", None), ("POST", b"a body")])
def test_a_peer_is_told_of_the_span_of_its_try(traced, method, body):
    s, collector = traced()
    assert request(s.port, method, "/told?fail", body=body, headers={"traceparent": f"00-{TRACE}-{SPAN}-01"}).status == 200
    own, *tries = collector.wait(4)
    inner, *told = collector.app.requests
    assert len(told) == len(tries) == 3 and len({span.id for span in (own, *tries)}) == 4
    for span, seen in zip(tries, told):
        assert (span.trace, span.parent) == (TRACE, own.id)
        assert seen.header("traceparent") == f"00-{TRACE}-{span.id}-01" and seen.header("b3") == f"{TRACE}-{span.id}-1"
        assert (seen.header("X-B3-SpanId"), seen.header("X-B3-ParentSpanId")) == (span.id, own.id)
        assert (seen.target, seen.body) == ("/told?fail", body or b"")
    assert inner.header("traceparent") == f"00-{TRACE}-{own.id}-01", "a part of this server's work"


def test_a_try_without_a_peer_begins_when_it_was_made(traced):
    s, collector = traced()
    before = time.time_ns()
    assert get(s.port, "/nobody").status == 502
    own, tried = collector.wait(2)
    assert before - 2_000_000_000 < own.start <= tried.start <= tried.end and tried.failed


def test_bytes_that_are_no_text_and_long_values(traced):
    s, collector = traced("attribute_size 16;")
    with Client(s.port) as client:
        client.send(b"GET /named HTTP/1.1\r\nHost: h\r\nUser-Agent: a\xff\xc3\xa9\xe2\x82b" + b"z" * 100 + b"\r\nConnection: close\r\n\r\n")
        client.read_reply()
    (span,) = collector.wait(1)
    assert span.attributes["http.user_agent"] == "a?\u00e9??b" + "z" * 9  # 16 bytes


# ---- batches

def test_a_full_batch_does_not_wait_for_the_interval(traced):
    s, collector = traced("batch_size 3;")
    s.reload(CONF.replace("interval 50ms", "interval 1h"))
    with Client(s.port) as client:
        for _ in range(7):
            client.get("/named")
        collector.wait(6)
        assert [len(export.spans) for export in collector.exports] == [3, 3]
    assert len(collector.upstream.connections) == 1


def test_a_slow_collector_holds_nothing_up_and_the_rest_is_dropped_and_counted(traced):
    s, collector = traced("batch_size 1; batch_count 4; timeout 60s;")  # each span is a batch, whatever the interval
    collector.go.clear()
    with Client(s.port) as client:
        begin = time.monotonic()
        for _ in range(20):
            assert client.get("/named").status == 200
        assert time.monotonic() - begin < 50
    s.wait_for_log(r"\[warn\].*otel: the collector is slow, 4 batches wait, spans are dropped")
    assert counted(s, "dropped") == 16
    collector.go.set()
    collector.wait(4)
    wait_until(lambda: counted(s, "exported") == 4, 5, "the exports")
    s.wait_for_log(r"otel: 16 spans were dropped")
    get(s.port, "/named")
    collector.wait(5)


def test_a_collector_that_is_not_there(traced):
    s, collector = traced()
    collector.upstream.leave()
    assert get(s.port, "/named").status == 200
    s.wait_for_log(r"\[error\].*otel: 1 spans could not be exported: ")
    wait_until(lambda: counted(s, "failed") == 1, 5, "the count")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_collector_that_closes_its_connection_gets_the_batch_on_another(traced, protocol):
    s, collector = traced(protocol=protocol)
    answer = getattr(collector, protocol)

    def closes_once(asked):
        if len(collector.seen) == 1:
            collector.seen.append(asked)
            return asked.connection.close() if protocol == "grpc" else None
        return answer(asked)
    if protocol == "grpc":
        collector.upstream.on_request = closes_once
    else:
        collector.upstream.scripts = [up.serve(closes_once)]
    get(s.port, "/named?one")
    collector.wait(1)
    get(s.port, "/named?two")
    assert collector.wait(2)[1].attributes["http.target"] == "/named?two"
    wait_until(lambda: counted(s, "exported") == 2, 5, "the count")
    assert counted(s, "failed") == 0 and len(collector.seen) == 3 and len(collector.upstream.connections) == 2


def test_a_collector_that_never_answers(traced):
    s, collector = traced("timeout 300ms;")
    collector.go.clear()
    get(s.port, "/named")
    s.wait_for_log(r"otel: 1 spans could not be exported: upstream timed out")
    collector.go.set()


def test_a_collector_that_refuses(traced):
    s, collector = traced()
    collector.status = "8"
    get(s.port, "/named")
    s.wait_for_log(r"otel: 1 spans could not be exported: the collector's grpc-status is not 0")


@pytest.mark.parametrize("protocol, refusal", [("grpc", "14"), ("grpc", "4"), ("http", 503), ("http", 429)])
def test_what_a_collector_cannot_take_now_is_sent_again(traced, protocol, refusal):
    s, collector = traced("batch_size 1;", protocol)
    collector.status = refusal
    get(s.port, "/named?one")
    s.wait_for_log(r"\[warn\].*otel: 1 spans will be sent again: ")
    get(s.port, "/named?two")  # waits behind it
    collector.wait(2)
    collector.status = "0"
    wait_until(lambda: counted(s, "exported") == 2, 5, "the count")
    targets = [span.attributes["http.target"] for span in collector.spans]
    assert targets.count("/named?one") > 1 and targets[-1] == "/named?two" and len({span.id for span in collector.spans}) == 2
    assert counted(s, "failed") + counted(s, "dropped") == 0


def test_what_a_collector_never_takes_is_dropped(traced):
    s, collector = traced()
    collector.status = "14"
    get(s.port, "/named")
    s.wait_for_log(r"\[error\].*otel: 1 spans could not be exported: the collector's grpc-status is not 0")
    assert len(collector.exports) == 5
    wait_until(lambda: counted(s, "dropped") == 1, 5, "the count")


def test_what_would_be_sent_again_is_tried_once_more_at_the_end(traced):
    s, collector = traced("batch_size 1;")
    s.reload(CONF.replace("interval 50ms", "interval 1h"))
    collector.status = "14"
    get(s.port, "/named")
    s.wait_for_log(r"otel: 1 spans will be sent again: ")
    collector.status = "0"
    s.quit()
    assert len(collector.exports) == 2 and "spans were dropped" not in s.log()


def field(number, value):
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_collector_that_rejects_some(traced, protocol):
    s, collector = traced("batch_size 3;", protocol)
    s.reload(CONF.replace("interval 50ms", "interval 1h"))  # three are a batch
    collector.answer = field(1, field(1, 2) + field(2, b"too\nold"))
    with Client(s.port) as client:
        for _ in range(3):
            client.get("/named")
    s.wait_for_log(r'\[warn\].*otel: the collector rejected 2 of 3 spans: "too\\x0Aold"|\[warn\].*rejected 2 of 3 spans: "too.*old"')
    wait_until(lambda: counted(s, "rejected") == 2, 5, "the count")
    assert counted(s, "exported") == 1


@pytest.mark.parametrize("answer, line", [
    (field(1, field(2, b"please upgrade")), 'rejected 0 of 1 spans: "please upgrade"'), (field(1, field(1, 99)), "rejected 1 of 1 spans"),
    (b"\x0a\xff", None), (field(7, b"x"), None)])
def test_other_words_of_a_collector(traced, answer, line):
    s, collector = traced()
    collector.answer = answer
    get(s.port, "/named")
    wait_until(lambda: counted(s, "exported") + counted(s, "rejected") == 1, 5, "the count")
    if line:
        s.wait_for_log(line)
    else:
        assert "rejected" not in s.log()


# ---- over TLS

@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path / "certs")
    made.leaf("sidecar.test", client=True)
    return made


TRUST = "trusted_certificate %s/ca.pem;"
SHOW = "ssl_certificate %s/sidecar.test.pem; ssl_certificate_key %s/sidecar.test.key;"


def context_of(authority, protocol, name="localhost", **more):
    return authority.server_context(authority.leaf(name), alpn=["h2"] if protocol == "grpc" else None, **more)


@pytest.mark.parametrize("protocol, scheme", [("grpc", "https"), ("grpc", "grpcs"), ("http", "https")])
def test_spans_over_tls_both_sides_known(traced, authority, protocol, scheme):
    folder = authority.folder
    s, collector = traced(TRUST % folder + SHOW % (folder, folder), protocol, context_of(authority, protocol, client_ca=True),
                          endpoint=scheme + "://localhost:%d")
    get(s.port, "/named")
    collector.wait(1)
    wait_until(lambda: counted(s, "exported") == 1, 5, "the count")
    get(s.port, "/named")
    collector.wait(2)
    assert len(collector.upstream.connections) == 1
    if protocol == "grpc":
        assert collector.seen[0].header(":scheme") == "https"


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("exporter, name, reason", [
    ("", "localhost", r"upstream SSL certificate verify error: \("),
    (TRUST, "other.test", 'upstream SSL certificate does not match "localhost"'),
    (TRUST + "ssl_name third.test;", "localhost", 'upstream SSL certificate does not match "third.test"'),
])
def test_a_collector_that_is_not_believed(traced, authority, protocol, exporter, name, reason):
    s, collector = traced(exporter.replace("%s", authority.folder), protocol, context_of(authority, protocol, name),
                          endpoint="https://localhost:%d")
    assert get(s.port, "/named").status == 200
    s.wait_for_log(r"\[error\].*otel: 1 spans could not be exported: " + reason)
    assert counted(s, "failed") == 1 and not collector.seen


def test_a_collector_that_nobody_verifies(traced, authority):
    s, collector = traced("ssl_verify off;", "grpc", context_of(authority, "grpc", "other.test"), endpoint="https://localhost:%d")
    get(s.port, "/named")
    collector.wait(1)


def test_the_last_spans_are_sent_at_the_end(traced):
    s, collector = traced()
    s.reload(CONF.replace("interval 50ms", "interval 1h"))
    for _ in range(3):
        get(s.port, "/named")
    time.sleep(0.1)
    assert not collector.spans
    s.quit()
    assert len(collector.spans) == 3


def test_spans_that_wait_when_the_worker_ends_are_counted_and_told_of(traced):
    s, collector = traced("batch_size 2; timeout 60s;")
    collector.go.clear()
    for _ in range(5):
        get(s.port, "/named")
    collector.wait(2)  # the first batch is on its way, the second waits, the third is being filled
    s.process.terminate()
    s.wait()
    s.wait_for_log(r"\[warn\].*otel: 5 spans were dropped: the worker ends")
    collector.go.set()


def test_a_request_with_a_body(traced):
    s, collector = traced()
    assert request(s.port, "POST", "/named", body="12345").status == 200
    (span,) = collector.wait(1)
    assert span.attributes["http.request_content_length"] == 5 and span.attributes["http.method"] == "POST"
