# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Bounded load from threads, every reply checked: what must not fail while the server is reloaded, replaced or wounded.

    with Load(port) as load:
        ...                      # reload, upgrade, kill
        load.wait_more(100)      # requests that were answered since
    load.assert_clean()

Reports counts and failures; what the server does meanwhile is the test's business. `answer` is the upstream that goes with it.
"""

import hashlib
import threading
import time

from lib.client import Client, request_bytes
from lib.ports import TIME_SCALE, wait_until
from lib.upstreams import reply, serve
from lib.wire import Closed

UPLOAD = bytes(range(256)) * 800  # 204800 bytes


def digest(data):
    return hashlib.md5(data).hexdigest()


def _answer(request):
    return reply(200, f"{request.method} {request.target} {digest(request.body)}")


ANSWER = serve(_answer)


class Load:
    """Threads of four kinds: `keepalive` (requests on one connection), `fresh` (a connection each), `upload` (200 KB), `slow` (a head in
    pieces). `idle_close_is_fair`: a keepalive connection that ends between two requests is opened anew instead of counted as failed (what
    a server may do that does not know keepalive_min_timeout)."""

    def __init__(self, port, keepalive=2, fresh=2, upload=1, slow=1, pause=0.004, idle_close_is_fair=False):
        self.port, self.pause, self.idle_close_is_fair = port, pause, idle_close_is_fair
        self.answered = {}
        self.failures = []
        self.slowest = 0.0
        self._end = threading.Event()
        kinds = [self._keepalive] * keepalive + [self._fresh] * fresh + [self._upload] * upload + [self._slow] * slow
        self._threads = [threading.Thread(target=self._run, args=(kind, i), daemon=True) for i, kind in enumerate(kinds)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_more(len(self._threads) * 2)
        return self

    def __exit__(self, *unused):
        self._end.set()
        for thread in self._threads:
            thread.join(20 * TIME_SCALE)

    @property
    def total(self):
        return sum(self.answered.values())

    def wait_more(self, count, seconds=20):
        """Until that many more requests were answered, or one failed."""
        goal = self.total + count
        wait_until(lambda: self.total >= goal or self.failures, seconds, f"{count} more answers")

    def assert_clean(self):
        assert not self.failures, f"{len(self.failures)} of {self.total + len(self.failures)} requests failed: {self.failures[:5]}"
        assert all(self.answered.get(i, 0) > 1 for i in range(len(self._threads))), f"a thread without answers: {self.answered}"

    def _run(self, kind, number):
        self.answered[number] = 0
        state = {"client": None, "used": 0}
        while not self._end.is_set():
            begin = time.monotonic()
            try:
                kind(number, state)
                self.answered[number] += 1
                self.slowest = max(self.slowest, time.monotonic() - begin)
            except (AssertionError, OSError) as problem:
                self.failures.append(f"{kind.__name__} after {time.monotonic() - begin:.3f} s: {problem!r}")
                state.update(client=None, used=0)
            self._end.wait(self.pause)
        if state["client"]:
            state["client"].close()

    def _check(self, got, method, target, body=b""):
        want = f"{method} {target} {digest(body)}"
        assert got.status == 200 and got.text == want, f"{got.status} {got.body[:100]!r} in place of {want!r}"

    def _target(self, number):
        return f"/{number}/{self.answered[number]}"

    def _keepalive(self, number, state):
        target = self._target(number)
        while True:
            if state["client"] is None:
                state.update(client=Client(self.port, seconds=10), used=0)
            client, state["used"] = state["client"], state["used"] + 1
            try:
                got = client.get(target)
                break
            except (Closed, ConnectionError) as end:
                state["client"] = None
                fair = self.idle_close_is_fair and state["used"] > 1 and not client.reader.buffer
                if not fair or getattr(end, "how", "reset") not in ("closed", "reset"):
                    raise
        self._check(got, "GET", target)
        if got.has_word("connection", "close"):
            client.close()
            state["client"] = None

    def _fresh(self, number, state):
        target = self._target(number)
        with Client(self.port, seconds=10) as client:
            self._check(client.get(target, {"Connection": "close"}), "GET", target)
            assert not client.read_until_close(), "bytes behind the reply"

    def _upload(self, number, state):
        target = self._target(number)
        with Client(self.port, seconds=10) as client:
            self._check(client.request("POST", target, UPLOAD, {"Connection": "close"}), "POST", target, UPLOAD)

    def _slow(self, number, state):
        target = self._target(number)
        with Client(self.port, seconds=10) as client:
            client.send_pieces(request_bytes("GET", target, headers={"Connection": "close"}), size=12, pause=0.02)
            self._check(client.read_reply(), "GET", target)
