# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""HTTP/2 clients over python3-h2: a polite one with streams, and frames as bytes for hostile ones."""

import socket
import struct

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hpack

from lib.ports import TIME_SCALE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4


class H2Reply:
    """What a stream brought. `reset` is the error code of a RST_STREAM, None without one."""

    def __init__(self):
        self.headers, self.trailers, self.interim = [], [], []
        self.body = b""
        self.ended = False
        self.reset = None

    @property
    def status(self):
        return int(self.header(":status"))

    @property
    def text(self):
        return self.body.decode()

    def header(self, name):
        values = [v for n, v in self.headers if n == name]
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def is_over(self):
        return self.ended or self.reset is not None


class H2Client:
    """One connection. `window`: the initial window of each stream; received bytes open it again unless `hold` names the stream."""

    def __init__(self, port, window=None, seconds=5.0, tls=None, server_name=None, settings=None):
        self.socket = socket.create_connection(("127.0.0.1", port), seconds * TIME_SCALE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
            assert self.socket.selected_alpn_protocol() == "h2"
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8",
                                                                       validate_outbound_headers=False, normalize_outbound_headers=False))
        values = dict(settings or {})
        if window is not None:
            values[h2.settings.SettingCodes.INITIAL_WINDOW_SIZE] = window
        self.h2.initiate_connection()
        if values:
            self.h2.update_settings(values)
        self.replies, self.hold = {}, set()
        self._unfed = b""
        self.goaways, self.pongs, self.server_settings = [], 0, {}
        self.ends = []  # the streams whose replies have ended, in their order
        self.ended = None  # "closed" or "reset"
        self.flush()

    # -- sending

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def start(self, path="/", method="GET", headers=(), authority="localhost", end=True, pseudo=None, flush=True):
        """Sends a request head, or leaves it to go with the next one (flush); gives the stream's number."""
        stream = self.h2.get_next_available_stream_id()
        if pseudo is None:
            pseudo = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
        self.replies[stream] = H2Reply()
        self.h2.send_headers(stream, pseudo + list(headers), end_stream=end)
        if flush:
            self.flush()
        return stream

    def send(self, stream, data, end=False):
        """Body bytes, waiting for the windows."""
        while data:
            while (room := min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)) == 0:
                self.pump()
            piece, data = data[:room], data[room:]
            self.h2.send_data(stream, piece, end_stream=end and not data)
            self.flush()
            end = end and bool(data)
        if end:
            self.h2.end_stream(stream)
            self.flush()

    def trailers(self, stream, fields, end=True):
        """As they are: hyper-h2 would refuse some."""
        block = self.h2.encoder.encode(fields)
        self.socket.sendall(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block))

    def reset(self, stream, code=8):
        self.h2.reset_stream(stream, code)
        self.flush()

    def open_window(self, stream, count):
        self.h2.increment_flow_control_window(count, stream)
        self.h2.increment_flow_control_window(count)
        self.flush()

    # -- receiving

    def pump(self):
        """One recv and what follows from it. False: the connection has ended."""
        if self.ended:
            return False
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            self.ended = "reset"
            return False
        except (socket.timeout, TimeoutError):
            raise AssertionError(f"nothing came for {self.socket.gettimeout()} s") from None
        if not data:
            self.ended = "closed"
            return False
        self._unfed += data  # fed frame by frame: hyper-h2 takes nothing behind a GOAWAY, _take() lets it go on
        while len(self._unfed) >= 9 and len(self._unfed) >= (size := 9 + int.from_bytes(self._unfed[:3], "big")):
            piece, self._unfed = self._unfed[:size], self._unfed[size:]
            self._note_reset(piece)
            for event in self.h2.receive_data(piece):
                self._take(event)
        try:
            self.flush()
        except OSError:
            pass
        return True

    def _note_reset(self, piece):
        """hyper-h2 says nothing of one behind the end of a stream."""
        if piece[3] == RST_STREAM and (reply := self.replies.get(int.from_bytes(piece[5:9], "big"))):
            reply.reset = int.from_bytes(piece[9:13], "big")

    def _take(self, event):
        reply = self.replies.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            reply.headers = event.headers
        elif isinstance(event, h2.events.InformationalResponseReceived):
            reply.interim.append(dict(event.headers)[":status"])
        elif isinstance(event, h2.events.TrailersReceived):
            reply.trailers = event.headers
        elif isinstance(event, h2.events.DataReceived):
            reply.body += event.data
            if event.flow_controlled_length and event.stream_id not in self.hold:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            reply.ended = True
            self.ends.append(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((event.last_stream_id, int(event.error_code)))
            self.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN  # the streams under way go on
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs += 1
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.server_settings.update({int(c): s.new_value for c, s in event.changed_settings.items()})

    def pump_until(self, predicate):
        while not predicate():
            assert self.pump(), f"the connection was {self.ended}; GOAWAYs: {self.goaways}"

    def wait(self, stream):
        """The whole reply of a stream."""
        self.pump_until(lambda: self.replies[stream].is_over)
        return self.replies[stream]

    def wait_reset(self, stream):
        """The reply of a stream that is reset, whatever came before."""
        self.pump_until(lambda: self.replies[stream].reset is not None)
        return self.replies[stream]

    def wait_goaway(self, count=1):
        self.pump_until(lambda: len(self.goaways) >= count)
        return self.goaways[count - 1]

    def wait_end(self):
        """The end of the connection, everything before it taken in."""
        while self.pump():
            pass
        return self.ended

    def get(self, path="/", **how):
        return self.wait(self.start(path, **how))

    def post(self, path, body, **how):
        stream = self.start(path, method="POST", end=False, **how)
        self.send(stream, body, end=True)
        return self.wait(stream)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class RawH2:
    """A connection that sends what it is told and reads frames. The preface and empty settings are sent at once."""

    def __init__(self, port, seconds=5.0, begin=PREFACE + frame(SETTINGS)):
        self.socket = socket.create_connection(("127.0.0.1", port), seconds * TIME_SCALE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.buffer = b""
        self.send(begin)

    def send(self, data):
        """False: the other side has closed."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def block(self, *headers, path="/", method="GET", pseudo=True):
        """A header block."""
        first = [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path)] if pseudo else []
        return self.encoder.encode(first + list(headers))

    def request(self, stream, *headers, end=True, **how):
        return self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, self.block(*headers, **how)))

    def read(self):
        """The next frame as (type, flags, stream, payload), None at the end of the connection."""
        while True:
            if len(self.buffer) >= 9:
                size = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) >= 9 + size:
                    head, payload, self.buffer = self.buffer[:9], self.buffer[9:9 + size], self.buffer[9 + size:]
                    return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, payload
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                return None
            except (socket.timeout, TimeoutError):
                raise AssertionError(f"nothing came for {self.socket.gettimeout()} s") from None
            if not more:
                return None
            self.buffer += more

    def until(self, kind, stream=None):
        """The first frame of the kind, what comes before it dropped (header blocks are decoded); None at the end of the connection."""
        while (got := self.read()) is not None:
            if got[0] == HEADERS:
                got = (*got[:3], self.decoder.decode(got[3]))
            if got[0] == kind and (stream is None or got[2] == stream):
                return got
        return None

    def goaway_code(self):
        """The error code of the last GOAWAY before the end of the connection; None without one."""
        code = None
        while (got := self.until(GOAWAY)) is not None:
            code = int.from_bytes(got[3][4:8], "big")
        return code

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
