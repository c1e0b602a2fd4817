# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""HTTP/2 upstreams (h2c by prior knowledge, or TLS with ALPN) over python3-h2 that do what a test says.

    up = H2Upstream(lambda stream: stream.reply(200, stream.path))     # called when a request has come to its end
    up = H2Upstream(on_head=lambda stream: stream.reset(7))            # called at its head

Callbacks run in the thread of their connection; the calls of a stream or connection may come from any thread. Body bytes go out as the
windows allow. Received bytes open the windows again unless `hold` is set.
"""

import select
import socket
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from lib.ports import wait_until
from lib.upstreams import Listening


class H2Stream:
    """One request as the upstream sees it, and the calls that answer it."""

    def __init__(self, connection, number, headers):
        self.connection, self.number = connection, number
        self.headers = [(n.decode() if isinstance(n, bytes) else n, v.decode() if isinstance(v, bytes) else v) for n, v in headers]
        self.body, self.trailers = b"", []
        self.ended = False
        self.reset_code = None   # of a RST_STREAM of the other side
        self._out, self._end, self._last = b"", False, None

    def header(self, name):
        values = [v for n, v in self.headers if n == name]
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def path(self):
        return self.header(":path")

    @property
    def is_over(self):
        return self.ended or self.reset_code is not None

    def head(self, status=200, headers=(), end=False):
        self.connection.act(lambda c: c.send_headers(self.number, [(":status", str(status))] + list(headers), end_stream=end))

    def data(self, data, end=False):
        with self.connection.lock:  # the connection's thread sends what stands there when a window opens
            self._out += data.encode() if isinstance(data, str) else data
            self._end = self._end or end
        self.connection.act(lambda c: self.push(c))

    def trailer_fields(self, fields):
        """Behind all data."""
        self._last = list(fields)
        self.connection.act(lambda c: self.push(c))

    def reply(self, status=200, content=b"", headers=(), trailers=None):
        content = content.encode() if isinstance(content, str) else content
        if not content and not trailers:
            return self.head(status, headers, end=True)
        self.head(status, headers)
        if trailers:
            with self.connection.lock:
                self._out, self._last = self._out + content, list(trailers)
            return self.connection.act(lambda c: self.push(c))
        return self.data(content, end=True)

    def reset(self, code=2):
        self.connection.act(lambda c: c.reset_stream(self.number, code))

    def push(self, c):
        """Sends what the windows allow; by the connection, under its lock."""
        while self._out:
            room = min(c.local_flow_control_window(self.number), c.max_outbound_frame_size)
            if room <= 0:
                return
            piece, self._out = self._out[:room], self._out[room:]
            c.send_data(self.number, piece, end_stream=self._end and not self._out and self._last is None)
            if not self._out and self._end and self._last is None:
                self._end = False
        if self._last is not None:
            fields, self._last, self._end = self._last, None, False
            c.send_headers(self.number, fields, end_stream=True)
        elif self._end:
            self._end = False
            c.end_stream(self.number)


class H2Connection:
    def __init__(self, upstream, sock):
        self.upstream, self.socket = upstream, sock
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False))
        self.lock = threading.RLock()
        self.streams = {}
        self.pings, self.goaways = 0, []
        self.ended = None    # "closed" or "reset" by the other side
        self.problem = None
        self.is_tls = upstream.tls is not None

    def act(self, call):
        """`call(h2 connection)`, then its bytes go out. What the protocol no longer allows is dropped."""
        with self.lock:
            try:
                call(self.h2)
                self.flush()
            except (h2.exceptions.ProtocolError, OSError, KeyError) as problem:
                self.problem = problem

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def goaway(self, last=None, code=0):
        self.act(lambda c: c.close_connection(error_code=code, last_stream_id=last))

    def send_raw(self, data):
        with self.lock:
            self.socket.sendall(data)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)

    def receive(self):
        if not self.is_tls:
            return self.socket.recv(65536)
        # OpenSSL's object must not be read and written at once: the wait is outside of it.
        if not self.socket.pending() and not select.select([self.socket], [], [], self.socket.gettimeout())[0]:
            raise TimeoutError("nothing came")
        with self.lock:
            return self.socket.recv(65536)

    def open_windows(self, stream, count):
        def call(c):
            c.increment_flow_control_window(count, stream)
            c.increment_flow_control_window(count)
        self.act(call)

    def run(self):
        try:
            with self.lock:
                self.h2.initiate_connection()
                if self.upstream.settings:
                    self.h2.update_settings(self.upstream.settings)
                self.flush()
            while True:
                data = self.receive()
                if not data:
                    self.ended = "closed"
                    return
                with self.lock:
                    events = self.h2.receive_data(data)
                    self.flush()
                for event in events:
                    self._take(event)
                with self.lock:
                    self.flush()
        except (h2.exceptions.ProtocolError, OSError, ValueError) as problem:
            if isinstance(problem, ConnectionError):
                self.ended = "reset"
            self.problem = problem
        finally:
            self.socket.close()

    def _take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RequestReceived):
            stream = self.streams[event.stream_id] = H2Stream(self, event.stream_id, event.headers)
            self.upstream.requests.append(stream)
            if self.upstream.on_head:
                self.upstream.on_head(stream)
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            if event.flow_controlled_length and not self.upstream.hold:
                self.act(lambda c: c.acknowledge_received_data(event.flow_controlled_length, event.stream_id))
            if self.upstream.on_data:
                self.upstream.on_data(stream)
        elif isinstance(event, h2.events.TrailersReceived):
            stream.trailers = event.headers
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
            if self.upstream.on_request:
                self.upstream.on_request(stream)
        elif isinstance(event, h2.events.StreamReset):
            if stream:
                stream.reset_code = int(event.error_code)
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for one in list(self.streams.values()):
                if one._out and one.reset_code is None:
                    self.act(one.push)
        elif isinstance(event, h2.events.PingReceived):
            self.pings += 1
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append(int(event.error_code))


class H2Upstream(Listening):
    """`settings`: of python3-h2, {SettingCodes: value}, announced behind the defaults. `before_handshake` is called with each fresh socket
    of a TLS listener."""

    def __init__(self, on_request=None, on_head=None, on_data=None, settings=None, hold=False, tls=None, before_handshake=None, **where):
        self.on_request = on_request or (None if on_head or on_data else lambda stream: stream.reply(200, stream.path))
        self.on_head, self.on_data, self.settings, self.hold, self.tls = on_head, on_data, settings, hold, tls
        self.before_handshake = before_handshake
        self.requests = []
        super().__init__(**where)

    def wait_requests(self, count, seconds=5):
        wait_until(lambda: len(self.requests) >= count, seconds, f"{count} requests to the upstream")
        return self.requests

    def accepted(self, sock):
        return H2Connection(self, sock)

    def serve(self, connection):
        if self.tls:
            try:
                if self.before_handshake:
                    self.before_handshake(connection.socket)
                connection.socket = self.tls.wrap_socket(connection.socket, server_side=True)
            except OSError as problem:
                connection.problem = problem
                connection.socket.close()
                return
        connection.run()
