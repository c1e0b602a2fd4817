#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
#
# image.sh BINARY FOLDER: fills FOLDER with all that a container without a distribution needs to run BINARY, prints each file with its
# size and their sum, and fails if that is 15 MB or more. What the last stage of the Dockerfile beside it copies; needs no container
# daemon. The libraries are those of the machine it runs on.
set -eu

limit=15000000
[ $# -eq 2 ] || { echo "usage: $0 BINARY FOLDER" >&2; exit 2; }
binary=$1 root=$2
here=$(cd "$(dirname "$0")" && pwd)
prefix=$("$binary" -h 2>&1 | sed -n 's/.*set prefix path (default: \(.*\)\/).*/\1/p')
[ -n "$prefix" ] || { echo "$0: \"$binary\" does not tell its prefix" >&2; exit 1; }

mkdir -p "$root"
chmod 755 "$root"
put() {  # SOURCE PATH: links are followed
  mkdir -p "$root$(dirname "$2")"
  cp -L "$1" "$root$2"
}

put "$binary" "$prefix/sbin/fairlead"
strip "$root$prefix/sbin/fairlead"
chmod 755 "$root$prefix/sbin/fairlead"
# Lines are "name => path (address)", or "path (address)" for the loader. A library keeps the path where the loader looks for it.
ldd "$binary" | sed -n 's/^.* => \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | while read -r library; do
  put "$library" "$library"
done

put "$here/container.conf" "$prefix/conf/fairlead.conf"
put "$here/../mime.types" "$prefix/conf/mime.types"
put "$here/index.html" "$prefix/html/index.html"
mkdir -p "$root/etc" "$root/tmp"
chmod 1777 "$root/tmp"
printf 'root:x:0:0::/:\nnobody:x:65534:65534::/:\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
# Who checks the certificates of upstreams against the public authorities names this file.
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || put /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt

find "$root" -type f -printf '%10s /%P\n' | sort -rn
total=$(find "$root" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')
printf '%10s in all\n' "$total"
[ "$total" -lt "$limit" ] || { echo "$0: more than $limit bytes" >&2; exit 1; }
