# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Envoy's Check for tests: its messages (check.proto, by protoc when first used), the framing of gRPC, replies of a policy service."""

import functools
import importlib
import os
import subprocess
import sys
import tempfile

METHOD = "/envoy.service.auth.v3.Authorization/Check"


@functools.cache
def messages():
    folder = tempfile.mkdtemp(prefix="fairlead-check-")
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(["protoc", f"--python_out={folder}", f"-I{here}", os.path.join(here, "check.proto")], check=True, timeout=60)
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("check_pb2")
    finally:
        sys.path.remove(folder)


def asked(stream):
    """The attributes that a call's body (lib.h2upstream.H2Stream) holds."""
    assert stream.path == METHOD and stream.header("content-type") == "application/grpc"
    assert stream.body[0] == 0 and int.from_bytes(stream.body[1:5], "big") == len(stream.body) - 5
    return messages().CheckRequest.FromString(stream.body[5:]).attributes


def options(fields):
    """HeaderValueOptions of (name, value) or (name, value, append) or (name, value, None, action)."""
    m = messages()
    made = []
    for name, value, *how in fields:
        option = m.HeaderValueOption(header=m.HeaderValue(key=name, value=value))
        if how and how[0] is not None:
            option.append.value = how[0]
        if len(how) > 1:
            option.append_action = how[1]
        made.append(option)
    return made


def ok(headers=(), remove=(), to_client=()):
    m = messages()
    return m.CheckResponse(status=m.Status(code=0), ok_response=m.OkHttpResponse(
        headers=options(headers), headers_to_remove=list(remove), response_headers_to_add=options(to_client)))


def denied(status=0, headers=(), body="", code=7):
    m = messages()
    return m.CheckResponse(status=m.Status(code=code), denied_response=m.DeniedHttpResponse(
        status=m.HttpStatus(code=status), headers=options(headers), body=body))


def framed(message):
    content = message if isinstance(message, bytes) else message.SerializeToString()
    return b"\0" + len(content).to_bytes(4, "big") + content


def reply(stream, message, status="0"):
    """A whole gRPC reply."""
    stream.reply(200, framed(message), headers=[("content-type", "application/grpc")], trailers=[("grpc-status", status)])
