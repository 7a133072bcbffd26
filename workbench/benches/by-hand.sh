#!/bin/sh
# The hand-made way: what `workbench run --no-snapshot workbench/benches/true.kdl` does, with ip, nft, strace and
# tcpdump, as a careful person scripts it. Two hosts, one link, pinned neighbours, a drop rule; the system calls of
# true(1) and the packets at both ends are recorded; then everything is taken down.
#
# Usage: by-hand.sh FOLDER, where calls.strace, client.pcap and server.pcap are to lie. As root or as an ordinary user.
#
# Careful means: nothing is started before what it needs is ready, nothing is read before it is written out, and no
# sleep stands for either. `ip` is called once for each host, with a batch, because a person who measures would.
set -eu

if [ "${1:-}" = --inside ]; then
    out=$2
else
    mkdir -p "$1"
    rm -f "$1/hold" "$1/client.ready" "$1/server.ready"
    # One id that is not 0: as root of a user namespace tcpdump would try to become another user, and there is none.
    # The capabilities are kept all the same (ambient ones, capabilities(7)), so ip and nft may do their work.
    exec unshare --user --map-user=1000 --map-group=1000 --keep-caps --net --mount --pid --fork --mount-proc \
        sh "$0" --inside "$1"
fi

# The client is this namespace; the server is one that a sleeping process holds open.
mkfifo "$out/hold" "$out/client.ready" "$out/server.ready"
unshare --net cat "$out/hold" &
server=$!
exec 9>"$out/hold"
on_server="nsenter --target $server --net"
until [ "$(readlink "/proc/$server/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do :; done

ip -batch - <<EOF
link set lo up
link add eth0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns $server
address add 10.9.0.1/24 dev eth0
link set eth0 up
neighbour replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent
EOF
$on_server ip -batch - <<EOF
link set lo up
address add 10.9.0.2/24 dev eth0
link set eth0 up
neighbour replace 10.9.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
EOF
$on_server nft -f - <<EOF
table inet lab {
    chain input {
        type filter hook input priority filter; policy accept;
        tcp dport 80 counter drop
    }
}
EOF

# tcpdump says on its standard error when it listens.
tcpdump -i eth0 -n -U --immediate-mode --time-stamp-precision=nano -w "$out/client.pcap" 2>"$out/client.ready" &
client_dump=$!
$on_server tcpdump -i eth0 -n -U --immediate-mode --time-stamp-precision=nano -w "$out/server.pcap" \
    2>"$out/server.ready" &
server_dump=$!
for ready in "$out/client.ready" "$out/server.ready"; do
    read -r line <"$ready"
    case $line in *"listening on eth0"*) ;; *) echo "tcpdump: $line" >&2; exit 1 ;; esac
done

strace --seccomp-bpf -f -ttt -T -e trace=network,desc,signal,process -o "$out/calls.strace" true
$on_server nft list ruleset >"$out/server.rules"

kill -TERM "$client_dump" "$server_dump"
wait "$client_dump" "$server_dump" || true
exec 9>&-
wait "$server" || true
rm -f "$out/hold" "$out/client.ready" "$out/server.ready"
