#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Process memory per idle TLS connection, of nginx and of fairlead with the same text: the worker's PSS before and after 1,000 connections
that made one request each. Most of it is OpenSSL's."""

import ssl

import idle
import subjects
import tls


def measure(options, total=1000, settle=2.0):
    subjects.raise_descriptor_limit(total + 2000)
    result = {}
    with subjects.Origin() as origin, tls.certificates() as folder:
        context = ssl.create_default_context(cafile=folder + "/server.pem")
        conf = tls.CONF.replace("CERTS", folder)
        for name, make in subjects.makers(options, haproxy=False, conf=conf, connections=total + 1024).items():
            with make(origin.port) as subject:
                result[name] = idle.measure_one(subject, total, settle, lambda s: context.wrap_socket(s, server_hostname="localhost"))
    return result


def show(result, total=1000):
    idle.show(result, total, "TLS")
    if "fairlead" in result:
        print(f"fairlead/nginx: {ratio(result):.3f}")


def ratio(result):
    """Infinite if connections were lost."""
    mine, theirs = result["fairlead"], result["nginx"]
    return mine["bytes_per_connection"] / theirs["bytes_per_connection"] if mine["all_open"] else float("inf")


if __name__ == "__main__":
    subjects.run(__doc__, measure, show)
