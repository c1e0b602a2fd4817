# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""grpcio on both sides: calls of all four kinds, deadlines, cancelling, metadata, errors and tries, in the clear and over TLS both ways."""

import os
import queue
import threading
from concurrent import futures

import pytest

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # the servers under test are forked from this process
grpc = pytest.importorskip("grpc")

from lib.certs import Authority  # noqa: E402
from lib.ports import TIME_SCALE, claim_port, release_port  # noqa: E402

CONF = """
events {}
http {
    upstream app { server 127.0.0.1:%%UP%%; }
    upstream two { server 127.0.0.1:%%OTHER%%; server 127.0.0.1:%%UP%%; }
    grpc_read_timeout 60s;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        http2 on;
        client_max_body_size 0;
        location / { grpc_pass grpc://app; }
        location /two. { grpc_pass two; grpc_next_upstream error grpc_unavailable; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%% ssl;
        http2 on;
        ssl_certificate %%CERTS%%/app.pem;
        ssl_certificate_key %%CERTS%%/app.key;
        grpc_ssl_trusted_certificate %%CERTS%%/ca.pem;
        location / { grpc_pass grpcs://127.0.0.1:%%SECURE%%; grpc_ssl_verify on; grpc_ssl_name app.test;
                     grpc_ssl_certificate %%CERTS%%/me.pem; grpc_ssl_certificate_key %%CERTS%%/me.key; }
    }
}
"""
SECONDS = 20 * TIME_SCALE
DEADLINE = 2 * TIME_SCALE ** 0.5  # long enough for the handler to begin, and waited for


class Service(grpc.GenericRpcHandler):
    """Bytes in, bytes out: /SERVICE/Echo, Count (server streaming), Sum (client streaming), Chat (both), Fail, Wait."""

    def __init__(self, name):
        self.name, self.calls, self.waits, self.cancelled = name, [], threading.Event(), threading.Event()

    def service(self, details):
        self.calls.append(details.method)
        kind = details.method.split("/")[-1]
        if kind in ("Count",):
            return grpc.unary_stream_rpc_method_handler(self.count)
        if kind == "Sum":
            return grpc.stream_unary_rpc_method_handler(lambda messages, _: str(sum(int(m) for m in messages)).encode())
        if kind == "Chat":
            return grpc.stream_stream_rpc_method_handler(self.chat)
        return grpc.unary_unary_rpc_method_handler({"Fail": self.fail, "Wait": self.wait}.get(kind, self.echo))

    def echo(self, message, context):
        got = dict(context.invocation_metadata())
        context.send_initial_metadata((("x-initial", got.get("x-meta", "-")), ("x-peer", self.name)))
        context.set_trailing_metadata((("x-trailing", "t"), ("bytes-bin", b"\x00\xff")))
        return message

    def count(self, message, _):
        for i in range(int(message)):
            yield str(i).encode()

    def chat(self, messages, _):
        for message in messages:
            yield message.upper()

    def fail(self, message, context):
        context.abort(getattr(grpc.StatusCode, message.decode()), "no \u00e9 today")

    def wait(self, _, context):
        self.left = context.time_remaining()
        if not context.add_callback(self.cancelled.set):  # the call ended before this thread came to it
            self.cancelled.set()
        self.waits.set()
        self.cancelled.wait(SECONDS)
        return b""


@pytest.fixture
def serve():
    """serve(service, credentials): a grpcio server, its port."""
    made = []

    def make(service, credentials=None):
        port = claim_port()
        one = grpc.server(futures.ThreadPoolExecutor(max_workers=8), handlers=[service], options=[("grpc.so_reuseport", 0)])
        one.add_secure_port(f"127.0.0.1:{port}", credentials) if credentials else one.add_insecure_port(f"127.0.0.1:{port}")
        one.start()
        made.append((one, port))
        return port
    yield make
    for one, port in made:
        one.stop(None).wait()
        release_port(port)


@pytest.fixture
def certificates(tmp_path):
    ca = Authority(tmp_path)
    ca.leaf("app.test", file="app")
    ca.leaf("me", client=True)
    return tmp_path


@pytest.fixture
def world(serve, server, certificates):
    """(channel, service, server) in the clear."""
    service = Service("app")
    s = server(CONF, UP=serve(service), OTHER=1, SECURE=1, CERTS=certificates)
    with grpc.insecure_channel(f"127.0.0.1:{s.port}") as channel:
        yield channel, service, s


def test_all_kinds_of_calls(world):
    channel, service, _ = world
    reply, call = channel.unary_unary("/s/Echo").with_call(b"hello", metadata=(("x-meta", "m"),), timeout=SECONDS)
    assert reply == b"hello" and dict(call.initial_metadata())["x-initial"] == "m"
    assert dict(call.trailing_metadata()) == {"x-trailing": "t", "bytes-bin": b"\x00\xff"}
    assert list(channel.unary_stream("/s/Count")(b"200", timeout=SECONDS)) == [str(i).encode() for i in range(200)]
    assert channel.stream_unary("/s/Sum")((str(i).encode() for i in range(200)), timeout=SECONDS) == b"19900"
    big = os.urandom(3_000_000)
    assert channel.unary_unary("/s/Echo")(big, timeout=SECONDS) == big


def test_messages_alternate_in_a_call_that_stays_open(world):
    channel, _, _ = world
    outgoing = queue.Queue()
    replies = channel.stream_stream("/s/Chat")(iter(outgoing.get, None), timeout=SECONDS)
    for word in (b"one", b"two", b"three"):
        outgoing.put(word)
        assert next(replies) == word.upper()
    outgoing.put(None)
    assert list(replies) == [] and replies.code() == grpc.StatusCode.OK


def test_many_calls_at_once(world):
    channel, _, _ = world
    echo = channel.unary_unary("/s/Echo")
    pending = [echo.future(str(i).encode(), timeout=SECONDS) for i in range(100)]
    assert [one.result() for one in pending] == [str(i).encode() for i in range(100)]


@pytest.mark.parametrize("status", ["NOT_FOUND", "UNAVAILABLE", "UNAUTHENTICATED"])
def test_errors_pass_with_their_words(world, status):
    channel, _, _ = world
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary("/s/Fail")(status.encode(), timeout=SECONDS)
    assert (error.value.code().name, error.value.details()) == (status, "no \u00e9 today")


def test_the_deadline_reaches_the_service_and_ends_the_call(world):
    channel, service, _ = world
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary("/s/Wait")(b"", timeout=DEADLINE)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert service.cancelled.wait(SECONDS) and 0 < service.left <= DEADLINE + 0.02  # the client rounds it up to three digits


def test_a_cancelled_call_is_cancelled_at_the_service(world):
    channel, service, _ = world
    call = channel.unary_unary("/s/Wait").future(b"", timeout=SECONDS)
    assert service.waits.wait(SECONDS)  # a call that is cancelled before its handler runs is never seen by it
    call.cancel()
    assert service.cancelled.wait(SECONDS)


def test_a_service_that_is_not_there_is_unavailable(server, certificates):
    s = server(CONF, UP=1, OTHER=1, SECURE=1, CERTS=certificates)
    with grpc.insecure_channel(f"127.0.0.1:{s.port}") as channel, pytest.raises(grpc.RpcError) as error:
        channel.unary_unary("/s/Echo")(b"", timeout=SECONDS)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("greets", [False, True])
def test_a_status_that_is_listed_goes_to_the_next_peer(serve, server, certificates, greets):
    """Whether it comes alone or behind initial metadata."""
    class Broken(Service):
        def echo(self, message, context):
            if greets:
                context.send_initial_metadata((("x-peer", "broken"),))
            context.abort(grpc.StatusCode.UNAVAILABLE, "going")
    broken, good = Broken("broken"), Service("good")
    s = server(CONF, UP=serve(good), OTHER=serve(broken), SECURE=1, CERTS=certificates)
    with grpc.insecure_channel(f"127.0.0.1:{s.port}") as channel:
        for _ in range(4):
            reply, call = channel.unary_unary("/two.s/Echo").with_call(b"hello", timeout=SECONDS)
            assert reply == b"hello" and dict(call.initial_metadata())["x-peer"] == "good"
    assert broken.calls and len(good.calls) == 4


def test_over_tls_on_both_sides(serve, server, certificates):
    def read(name):
        return (certificates / name).read_bytes()
    secure = grpc.ssl_server_credentials([(read("app.key"), read("app.pem"))], root_certificates=read("ca.pem"), require_client_auth=True)
    service = Service("secure")
    s = server(CONF, UP=1, OTHER=1, SECURE=serve(service, secure), CERTS=certificates)
    trust = grpc.ssl_channel_credentials(read("ca.pem"))
    with grpc.secure_channel(f"127.0.0.1:{s.ports[1]}", trust, options=[("grpc.ssl_target_name_override", "app.test")]) as channel:
        big = os.urandom(1_000_000)
        assert channel.unary_unary("/s/Echo")(big, timeout=SECONDS) == big
        assert list(channel.stream_stream("/s/Chat")(iter([b"a", b"b"]), timeout=SECONDS)) == [b"A", b"B"]
