# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What check, demo and bench share: packages, huge pages, mounts and builds; everything borrowed from the machine is given back.
#
#     . tools/setup.sh
#     setup_begin                   a temporary directory $work; what setup_at_exit names runs at the end, on Ctrl-C and failure too
#     setup_packages                installs what is missing (root), or names it and returns 1
#     setup_machine                 huge pages, hugetlbfs and bpffs for as long as this process lives (root only)
#     setup_build NAME [OPTION...]  configures and builds $cache/NAME, quickly when nothing changed
#
# Several of these may run at once. Who came first remembers what the machine was like, who leaves last restores it: the
# memory is /run/sluice-setup, one file a living user in users/. A user that was killed is noticed by the next one.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sluice/$(printf %s "$top" | sha256sum | cut -c1-12)
python=/usr/bin/python3 # Debian's, which has scapy
jobs=$(nproc)
shared=/run/sluice-setup
hugepages=${SLUICE_HUGEPAGES:-640} # of 2 MiB: two daemons at the default of their tests

packages=(
	meson ninja-build pkg-config gcc libc6-dev clang clang-format libclang-rt-14-dev llvm
	libdpdk-dev dpdk-dev dpdk libnuma-dev libcurl4-openssl-dev libjansson-dev libpcap-dev libcmocka-dev libevent-dev
	libyaml-dev libssl-dev libnghttp2-dev uthash-dev python3 python3-scapy
	nginx-light dnsmasq-base bind9-dnsutils socat iperf3 curl iproute2 ethtool procps nftables openssl faketime
)

say() {
	printf '%s\n' "$*"
}

complain() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

is_root() {
	[ "$(id -u)" -eq 0 ]
}

# --- the end, whatever the way there ---

undo=()

setup_at_exit() {
	undo+=("$*")
}

setup_end() {
	local status=$? i

	trap '' INT TERM HUP
	trap - EXIT
	for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
		${undo[i]} || complain "could not undo: ${undo[i]}"
	done
	exit "$status"
}

setup_begin() {
	trap setup_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	work=$(mktemp -d "${TMPDIR:-/tmp}/sluice.XXXXXX")
	setup_at_exit rm -rf "$work"
	setup_at_exit end_attended
	mkdir -p "$cache"
}

# Runs a command in the background and waits for it, so that a signal is answered at once and ends the command too.
attended() {
	local pid status=0

	"$@" &
	pid=$!
	attended_pid=$pid
	wait "$pid" || status=$?
	attended_pid=
	return "$status"
}

end_attended() {
	[ -z "${attended_pid:-}" ] && return 0
	kill -TERM "$attended_pid" 2>/dev/null || return 0
	wait "$attended_pid" 2>/dev/null || return 0
}

# --- packages ---

packages_missing() {
	local p

	for p in "${packages[@]}"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
	done
}

# Debian's way to keep a package from starting its service; removed again unless the machine had one.
hold_services() {
	[ -e /usr/sbin/policy-rc.d ] && return 0
	setup_at_exit rm -f /usr/sbin/policy-rc.d
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
}

setup_packages() {
	local missing

	mapfile -t missing < <(packages_missing)
	[ ${#missing[@]} -eq 0 ] && return 0
	missing_packages=${missing[*]}
	if ! is_root; then
		complain "missing packages; as root: apt-get install $missing_packages"
		return 1
	fi
	say "installing ${missing[*]}"
	hold_services
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq >"$work/apt" 2>&1 &&
		apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$work/apt" 2>&1 && return 0
	tail -n 20 "$work/apt" >&2
	complain "apt-get could not install ${missing[*]}"
	return 1
}

# --- huge pages and mounts ---

machine_users() {
	local f

	for f in "$shared"/users/*; do
		[ -e "$f" ] || continue
		if [ -d "/proc/${f##*/}" ]; then echo "${f##*/}"; else rm -f "$f"; fi
	done
}

machine_mount() {
	local type=$1 where=$2

	awk -v t="$type" '$3 == t { found = 1 } END { exit !found }' /proc/mounts && return 0
	mkdir -p "$where" 2>/dev/null && mount -t "$type" "$type" "$where" 2>/dev/null || return 0
	echo "$where" >>"$shared/mounts"
}

machine_take() {
	local now want=$hugepages file=/proc/sys/vm/nr_hugepages

	[ -n "$(machine_users)" ] || [ -e "$shared/hugepages" ] || cat $file >"$shared/hugepages"
	touch "$shared/users/$$"
	now=$(cat $file)
	if [ "$now" -lt "$want" ] && ! echo "$want" 2>/dev/null >$file; then
		complain "no huge pages here (vm.nr_hugepages can't be set): 4 KiB pages will do"
	fi
	machine_mount hugetlbfs /dev/hugepages
	machine_mount bpf /sys/fs/bpf
}

machine_give_back() {
	local where

	rm -f "$shared/users/$$"
	[ -z "$(machine_users)" ] || return 0
	if [ -e "$shared/mounts" ]; then
		while read -r where; do umount "$where" || umount -l "$where"; done <"$shared/mounts"
	fi
	[ -e "$shared/hugepages" ] && cat "$shared/hugepages" >/proc/sys/vm/nr_hugepages 2>/dev/null
	rm -rf "${shared:?}/users" "$shared/mounts" "$shared/hugepages"
}

machine_locked() {
	local status=0

	mkdir -p "$shared/users"
	exec {lock}>"$shared/lock"
	flock "$lock"
	mkdir -p "$shared/users"
	"$@" || status=$?
	exec {lock}>&-
	return "$status"
}

setup_machine() {
	is_root || return 0
	setup_at_exit machine_locked machine_give_back
	machine_locked machine_take
}

# --- builds ---

setup_build() {
	local name=$1 dir=$cache/$1 log=$work/build-$1

	shift
	if [ "$(cat "$dir/sluice-options" 2>/dev/null)" != "${CC:-gcc} $*" ]; then
		rm -rf "$dir"
		attended meson setup "$dir" "$top" --wrap-mode nodownload "$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2; return 1; }
		echo "${CC:-gcc} $*" >"$dir/sluice-options"
	fi
	attended ninja -C "$dir" -j "$jobs" >"$log" 2>&1 && return 0
	grep -E -A 8 'FAILED:|error:|ERROR:' "$log" | head -n 60 >&2
	return 1
}
