# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Clients that ask by chance, well or badly: pipelined, in pieces, cut, reset, malformed, over HTTP/1, TLS, the PROXY protocol and HTTP/2.
They count what they see. Every connection has to come to its end in time, whatever was sent over it."""

import asyncio
import collections
import ssl

import h2.config
import h2.connection
import h2.events
import h2.exceptions

PROXY_HEADS = (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", b"PROXY UNKNOWN\r\n", b"PROX",
               b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\0\2\1\xc0\0\2\2\x00\x01\x00\x02")
BAD_LINES = (b"Bad Header", b"Content-Length: 5", b"Transfer-Encoding: x", b" fold: y", b"X: \0")
METHODS = (b"GET",) * 6 + (b"POST",) * 4 + (b"HEAD", b"PUT", b"DELETE", b"OPTIONS")
BODY_SIZES = (0, 1, 100, 5000, 20000, 100000, 600000)


def tls(*protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


class Clients:
    """`ports`: plain, tls, proxy_protocol. `draw` is a random.Random. `seconds`: when a connection that was not ended counts as hung."""

    def __init__(self, ports, paths, draw, seconds):
        self.ports, self.paths, self.draw, self.seconds = ports, paths, draw, seconds
        self.seen, self.hung = collections.Counter(), []
        self.plain_tls, self.h2_tls = tls(), tls("h2")

    def have_seen_enough(self):
        return self.seen["200"] > 5 and self.seen["h2 200"] > 5

    async def run(self, until, latest):
        """One client after the other until loop time `until`; if hardly anything was answered by then, on to `latest`."""
        loop = asyncio.get_running_loop()
        while loop.time() < until or (loop.time() < latest and not self.have_seen_enough()):
            one = self.http1 if self.draw.random() < 0.65 else self.http2
            try:
                await asyncio.wait_for(one(), self.seconds)
            except asyncio.TimeoutError:
                self.hung.append(self.last)
            except (OSError, EOFError, h2.exceptions.ProtocolError) as problem:
                self.seen[type(problem).__name__] += 1

    def chance(self, share):
        return self.draw.random() < share

    # -- HTTP/1

    def body(self, lines):
        size = self.draw.choice(BODY_SIZES)
        if self.chance(0.5):
            lines.append(b"Content-Length: %d" % size)
            return b"p" * size
        lines.append(b"Transfer-Encoding: chunked")
        pieces = []
        while size > 0:
            piece = min(size, self.draw.choice([1, 100, 5000, 50000]))
            pieces.append(b"%x\r\n%s\r\n" % (piece, b"p" * piece))
            size -= piece * self.draw.choice([1, 1, 3])
            if self.chance(0.01):
                pieces.append(b"bad\r\n")
        return b"".join(pieces) + b"0\r\n\r\n"

    def request(self, last):
        method, path = self.draw.choice(METHODS), self.draw.choice(self.paths).encode()
        lines = [b"%s %s HTTP/1.%d" % (method, path, not self.chance(0.05)), b"Host: localhost"]
        optional = {b"Accept-Encoding: gzip": 0.3, b"Expect: 100-continue": 0.1, self.draw.choice(BAD_LINES): 0.02,
                    b"Range: bytes=%d-%d" % (self.draw.randrange(2000), self.draw.randrange(4000)): 0.1,
                    b"X-Big: " + b"z" * self.draw.choice([1000, 7000, 9000, 40000]): 0.05}
        lines += [line for line, share in optional.items() if self.chance(share)]
        if path.startswith(b"/upgrade"):
            lines += [b"Upgrade: websocket", b"Connection: upgrade"]
        elif last:
            lines.append(b"Connection: close")
        body = self.body(lines) if method in (b"POST", b"PUT") else b""
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    async def open_http1(self):
        kind = self.draw.choices(("plain", "tls", "proxy_protocol"), (7, 2, 1))[0]
        context = self.plain_tls if kind == "tls" else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[kind], ssl=context)
        if kind == "proxy_protocol":
            writer.write(self.draw.choice(PROXY_HEADS))
        return reader, writer

    async def http1(self):
        reader, writer = await self.open_http1()
        try:
            count = self.draw.choice([1, 1, 2, 3, 6])
            data = b"".join(self.request(last=i == count - 1) for i in range(count))
            self.last = data[:100]
            if self.chance(0.08):
                data = data[:self.draw.randrange(len(data))]
            reading = asyncio.ensure_future(self.read_answers(reader))
            try:
                await self.send(writer, data)
                await reading
            finally:
                reading.cancel()
        finally:
            writer.close()

    async def send(self, writer, data):
        step = max(len(data), 1) if self.chance(0.6) else self.draw.choice([50, 1000]) if len(data) < 3000 else 20000
        for at in range(0, len(data), step):
            writer.write(data[at:at + step])
            await writer.drain()
            if self.chance(0.05):
                await asyncio.sleep(self.draw.random() * 0.02)
            if self.chance(0.02):
                return writer.transport.abort()
        if self.chance(0.05) and writer.can_write_eof():
            writer.write_eof()

    async def read_answers(self, reader):
        while data := await reader.read(self.draw.choice([100, 1000, 65536])):
            if data.startswith(b"HTTP/1.1 "):
                self.seen[data[9:12].decode()] += 1

    # -- HTTP/2

    async def http2(self):
        tls_wanted = self.chance(0.5)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["tls" if tls_wanted else "plain"],
                                                       ssl=self.h2_tls if tls_wanted else None)
        connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        connection.initiate_connection()
        if self.chance(0.2):
            connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: self.draw.choice([0, 1, 100, 65535])})
        try:
            for _ in range(self.draw.randrange(1, 30)):
                self.begin(connection)
                writer.write(connection.data_to_send())
                if self.chance(0.01):
                    writer.write(self.draw.randbytes(30))
                if self.chance(0.6) and not await self.receive(connection, reader, writer, 0.05):
                    return
            while await self.receive(connection, reader, writer, 0.4):
                pass
        finally:
            if self.chance(0.3):
                writer.transport.abort()
            writer.close()

    def begin(self, connection):
        stream, with_body = connection.get_next_available_stream_id(), self.chance(0.4)
        path = self.draw.choice(self.paths)
        self.last = path
        fields = [(":method", "POST" if with_body else self.draw.choice(["GET", "GET", "HEAD"])), (":path", path), (":scheme", "http"),
                  (":authority", "localhost")]
        if path.startswith("/grpc"):
            fields += [("te", "trailers"), ("content-type", "application/grpc"), ("grpc-timeout", self.draw.choice(["100m", "5S"]))]
        optional = {("accept-encoding", "gzip"): 0.3, ("cookie", "a=1"): 0.1, ("cookie", "b=2"): 0.1,
                    ("x-big", "v" * self.draw.choice([300, 2000, 6000, 20000])): 0.2}
        fields += [field for field, share in optional.items() if self.chance(share)]
        connection.send_headers(stream, fields, end_stream=not with_body)
        if with_body and self.chance(0.8):
            size = min(self.draw.choice([0, 10, 1000, 16000]), connection.local_flow_control_window(stream))
            connection.send_data(stream, b"p" * size, end_stream=self.chance(0.9))
        if self.chance(0.15):
            connection.reset_stream(stream, 8)

    async def receive(self, connection, reader, writer, seconds):
        """Whether something came within the time. Nothing more to come is an end, too: some streams are left open on purpose."""
        try:
            data = await asyncio.wait_for(reader.read(65536), seconds)
        except asyncio.TimeoutError:
            return seconds < 0.1
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived) and self.chance(0.9):
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.ResponseReceived):
                self.seen["h2 " + dict(event.headers)[":status"]] += 1
        writer.write(connection.data_to_send())
        return bool(data)
