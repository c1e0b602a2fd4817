# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Origins that answer by chance, well or badly: early, late, cut, reset, malformed, by HTTP/1 and HTTP/2 in the clear."""

import asyncio
import gzip
import socket
import struct

import h2.config
import h2.connection
import h2.events
import h2.exceptions

TEXT = b"abcdefghij" * 3000
SIZES = (0, 1, 10, 256, 1000, 5000, 30000)
WHOLE, END = object(), object()  # what an answer says of its connection


def fields_of(head):
    lines = head.lower().split(b"\r\n")[1:]
    return dict(line.split(b": ", 1) for line in lines if b": " in line)


async def read_body(reader, fields):
    if b"content-length" in fields:
        await reader.readexactly(int(fields[b"content-length"]))
    elif b"transfer-encoding" in fields:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        while (await reader.readline()).strip():
            pass


def message(body, *fields, status=200, version=b"1.1"):
    lines = [b"HTTP/%s %d X" % (version, status), b"Content-Type: text/plain", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Http1Origin:
    """`draw` is a random.Random."""

    def __init__(self, draw):
        self.draw = draw
        kinds = {self.plain: 35, self.chunked: 25, self.gzipped: 6, self.until_close: 4, self.cut: 8, self.late: 4, self.failure: 6,
                 self.early_hints: 4, self.nothing: 2, self.silent: 1, self.reset: 2, self.garbage: 1, self.too_big_head: 1,
                 self.two_lengths: 1}
        self.kinds, self.weights = list(kinds), list(kinds.values())

    async def serve(self, reader, writer):
        try:
            while await self.exchange(reader, writer) is WHOLE:
                pass
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass  # the other side left in the middle, or cut its body
        finally:
            writer.close()

    async def exchange(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        fields = fields_of(head)
        early = self.draw.random() < 0.05
        if not early:
            await read_body(reader, fields)
        if fields.get(b"upgrade") == b"websocket" and self.draw.random() < 0.7:
            return await self.tunnel(reader, writer)
        answer = self.draw.choices(self.kinds, self.weights)[0]
        said = await answer(writer, b"" if head.startswith(b"HEAD") else None)
        await writer.drain()
        return END if early or self.draw.random() < 0.05 else said

    def body(self, none):
        return TEXT[:self.draw.choice(SIZES)] if none is None else none

    async def plain(self, writer, none):
        body = self.body(none)
        buffering, connection = self.draw.choice([b"yes", b"no"]), self.draw.choice([b"keep-alive", b"keep-alive", b"close"])
        writer.write(message(body, b"Content-Length: %d" % len(body), b"X-Accel-Buffering: " + buffering, b"Connection: " + connection))
        return END if connection == b"close" else WHOLE

    async def chunked(self, writer, none):
        writer.write(message(b"", b"Transfer-Encoding: chunked"))
        if none is not None:
            return WHOLE
        rest = self.body(None)
        while rest:
            piece = rest[:self.draw.choice([1, 7, 100, 4096, 30000])]
            rest = rest[len(piece):]
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if len(piece) > 7 and self.draw.random() < 0.1:
                await asyncio.sleep(0.003)
            if len(piece) == 1 and self.draw.random() < 0.1:
                writer.write(b"%x\r\n%s\r\n" % (len(rest), rest) if rest else b"")
                break
            if self.draw.random() < 0.01:
                writer.write(b"zz\r\n")
                return END
        writer.write(self.draw.choice([b"0\r\n\r\n", b"0\r\nX-Late: 1\r\n\r\n"]))
        return WHOLE

    async def gzipped(self, writer, none):
        body = gzip.compress(TEXT[:self.draw.choice(SIZES)])
        if self.draw.random() < 0.2:
            body = body[:-5] + b"wrong"
        writer.write(message(body if none is None else b"", b"Content-Encoding: gzip", b"Content-Length: %d" % len(body)))
        return WHOLE

    async def until_close(self, writer, none):
        writer.write(message(self.body(none), version=b"1.0"))
        return END

    async def cut(self, writer, none):
        writer.write(message(TEXT[:self.draw.randrange(5000)], b"Content-Length: 5000"))
        return END

    async def late(self, writer, none):
        await asyncio.sleep(self.draw.random() * 0.3)
        return await self.plain(writer, none)

    async def early_hints(self, writer, none):
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        return await self.plain(writer, none)

    async def failure(self, writer, none):
        status = self.draw.choice([500, 502, 503, 404, 304, 204, 206])
        body = b"" if none is not None or status in (204, 304) else b"err"
        writer.write(message(body, *([b"Content-Length: 3"] if status not in (204, 304) else []), status=status))
        return WHOLE

    async def nothing(self, writer, none):
        return END

    async def silent(self, writer, none):
        await asyncio.sleep(1.5)
        return END

    async def reset(self, writer, none):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return END

    async def garbage(self, writer, none):
        writer.write(b"garbage\r\n\r\n")
        return END

    async def too_big_head(self, writer, none):
        writer.write(message(b"", b"X-Big: " + b"y" * 9000))
        return END

    async def two_lengths(self, writer, none):
        writer.write(message(b"5\r\nabcde\r\n0\r\n\r\n", b"Content-Length: 100", b"Transfer-Encoding: chunked"))
        return END

    async def tunnel(self, reader, writer):
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        for _ in range(self.draw.randrange(5)):
            writer.write(b"\x82\x05hello")
            await writer.drain()
            try:
                await asyncio.wait_for(reader.read(100), 0.05)
            except asyncio.TimeoutError:
                pass
        return END


class Http2Origin:
    def __init__(self, draw):
        self.draw = draw

    async def serve(self, reader, writer):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        try:
            while data := await reader.read(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.DataReceived):
                        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    early = isinstance(event, h2.events.RequestReceived) and self.draw.random() < 0.1
                    if early or isinstance(event, h2.events.StreamEnded):
                        asyncio.ensure_future(self.answer(connection, writer, event.stream_id))
                writer.write(connection.data_to_send())
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            writer.close()

    async def answer(self, connection, writer, stream):
        chance = self.draw.random()
        try:
            if chance < 0.1:
                await asyncio.sleep(self.draw.random() * 0.3)
            elif chance < 0.15:
                return connection.reset_stream(stream, self.draw.choice([7, 2, 8, 0, 11]))
            size = min(self.draw.choice([0, 10, 1000, 15000]), connection.local_flow_control_window(stream))
            connection.send_headers(stream, [(":status", "200"), ("content-type", "text/plain")], end_stream=size == 0)
            if size and chance < 0.25:
                connection.reset_stream(stream, 2)
            elif size and chance < 0.4:
                connection.send_data(stream, TEXT[:size // 2])
                connection.send_headers(stream, [("x-late", "1")], end_stream=True)
            elif size:
                connection.send_data(stream, TEXT[:size], end_stream=True)
            if chance > 0.99:
                writer.transport.abort()
            elif chance > 0.97:
                connection.close_connection()
        except h2.exceptions.ProtocolError:
            pass  # answered before, or reset by the other side
        finally:
            writer.write(connection.data_to_send())


async def listen(ports, h2_port, draw):
    """The servers, to be closed."""
    http1, http2 = Http1Origin(draw), Http2Origin(draw)
    return [await asyncio.start_server(http1.serve, "127.0.0.1", port) for port in ports] + [
        await asyncio.start_server(http2.serve, "127.0.0.1", h2_port)]
