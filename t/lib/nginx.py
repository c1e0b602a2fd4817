# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""Debian's nginx as the oracle of differential tests: the same text, started the same way."""

import os

from lib.fairlead import Server

BINARY = "/usr/sbin/nginx"
MODULES = "/usr/lib/nginx/modules"


class Nginx(Server):
    def __init__(self, conf, **options):
        super().__init__(conf, binary=BINARY, **options)

    def globals(self):
        # Debian builds the stream engine as a loadable module.
        stream = os.path.join(MODULES, "ngx_stream_module.so")
        load = f"load_module {stream}; " if "stream" in self.conf and os.path.exists(stream) else ""
        return load + super().globals()

    def environment(self):
        return dict(os.environ)
