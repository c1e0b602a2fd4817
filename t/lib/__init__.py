# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
"""What the behaviour tests stand on: servers under test, faulty upstreams, hostile clients. Standard library only."""
