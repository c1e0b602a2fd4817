# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
#
# crypt_r(): libxcrypt, which knows bcrypt, the SHA-2 schemes and yescrypt.
find_library(CRYPT_LIBRARY crypt REQUIRED)
target_link_libraries(fairlead_modules PUBLIC ${CRYPT_LIBRARY})
