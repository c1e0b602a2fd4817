#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
#
# Sends the TCP connections of a host, a pod or a network namespace through fairlead, or stops doing so. Needs the right to change its
# rules (CAP_NET_ADMIN) and iptables. What fairlead itself opens is left alone, by the user it runs as: its workers must have a user of
# their own. Everything lies in two chains of the nat table, so that `down` leaves no trace; `up` replaces what an earlier one wrote.

set -eu

usage() {
  cat <<'USAGE'
usage: iptables.sh up|down|print [option ...]
  --user NAME|UID             the user of fairlead's workers (default: nobody)
  --outbound-port PORT        listen ... original_dst for what is called from here (default: 15001; 0: not captured)
  --inbound-port PORT         listen ... original_dst for what comes here (default: 15006; 0: not captured)
  --exclude-outbound LIST     destination ports that are left alone, separated by commas
  --exclude-inbound LIST      local ports that are left alone
  --exclude-networks LIST     destination networks that are left alone (IPv4 and IPv6)
  --ipv6                      also for IPv6
USAGE
}

fail() {
  echo "iptables.sh: $*" >&2
  exit 1
}

in_chain=FAIRLEAD_IN out_chain=FAIRLEAD_OUT
user=nobody outbound=15001 inbound=15006 no_out='' no_in='' no_net='' families=iptables
[ $# -gt 0 ] || { usage >&2; exit 2; }
action=$1
shift
while [ $# -gt 0 ]; do
  case $1 in
    --ipv6) families='iptables ip6tables'; shift; continue ;;
    --help|-h) usage; exit 0 ;;
  esac
  [ $# -gt 1 ] || fail "$1 needs a value"
  case $1 in
    --user) user=$2 ;;
    --outbound-port) outbound=$2 ;;
    --inbound-port) inbound=$2 ;;
    --exclude-outbound) no_out=$2 ;;
    --exclude-inbound) no_in=$2 ;;
    --exclude-networks) no_net=$2 ;;
    *) usage >&2; fail "unknown option $1" ;;
  esac
  shift 2
done

is_port() {
  case $1 in
    ''|*[!0-9]*) return 1 ;;
  esac
  [ "$1" -le 65535 ]
}
for port in "$outbound" "$inbound" $(echo "$no_out,$no_in" | tr ',' ' '); do
  is_port "$port" || fail "\"$port\" is no port"
done
uid=$(id -u "$user" 2>/dev/null) || case $user in
  ''|*[!0-9]*) fail "there is no user \"$user\"" ;;
  *) uid=$user ;;
esac
if [ "$uid" = 0 ] && [ "$action" != down ]; then
  fail "fairlead's workers must not run as root here: everything that root opens would pass by"
fi

# rule TABLES ARGUMENT...: adds to the nat table, or says so.
rule() {
  tables=$1
  shift
  if [ "$action" = print ]; then echo "$tables -t nat $*"; else "$tables" -w 5 -t nat "$@"; fi
}
quietly() { "$@" 2>/dev/null || true; }

remove() {
  for tables in $families; do
    command -v "$tables" >/dev/null || fail "$tables is missing"
    quietly "$tables" -w 5 -t nat -D PREROUTING -p tcp -j $in_chain
    quietly "$tables" -w 5 -t nat -D OUTPUT -p tcp -j $out_chain
    for chain in $in_chain $out_chain; do
      quietly "$tables" -w 5 -t nat -F $chain
      quietly "$tables" -w 5 -t nat -X $chain
    done
  done
}

is_of() {  # is_of TABLES NETWORK: whether a network is one of the family
  case "$1:$2" in
    iptables:*:*) return 1 ;;
    iptables:*) return 0 ;;
    ip6tables:*:*) return 0 ;;
    *) return 1 ;;
  esac
}

add() {
  for tables in $families; do
    [ "$tables" = iptables ] && loopback=127.0.0.0/8 || loopback=::1/128
    if [ "$inbound" != 0 ]; then
      rule "$tables" -N $in_chain
      for port in $(echo "$no_in" | tr ',' ' ') "$inbound" "$outbound"; do
        rule "$tables" -A $in_chain -p tcp --dport "$port" -j RETURN
      done
      rule "$tables" -A $in_chain -p tcp -j REDIRECT --to-ports "$inbound"
      rule "$tables" -A PREROUTING -p tcp -j $in_chain
    fi
    if [ "$outbound" != 0 ]; then
      rule "$tables" -N $out_chain
      rule "$tables" -A $out_chain -m owner --uid-owner "$uid" -j RETURN
      rule "$tables" -A $out_chain -d $loopback -j RETURN
      for network in $(echo "$no_net" | tr ',' ' '); do
        if is_of "$tables" "$network"; then rule "$tables" -A $out_chain -d "$network" -j RETURN; fi
      done
      for port in $(echo "$no_out" | tr ',' ' '); do rule "$tables" -A $out_chain -p tcp --dport "$port" -j RETURN; done
      rule "$tables" -A $out_chain -p tcp -j REDIRECT --to-ports "$outbound"
      rule "$tables" -A OUTPUT -p tcp -j $out_chain
    fi
  done
}

case $action in
  up)
    remove
    trap remove EXIT  # all or nothing
    add
    trap - EXIT
    ;;
  down) remove ;;
  print) add ;;
  *) usage >&2; exit 2 ;;
esac
