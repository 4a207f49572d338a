# SPDX-License-Identifier: Apache-2.0
# bash completion of sluicectl; names of Services come from the running daemon.

_sluicectl_services() {
	sluicectl "$@" services 2>/dev/null | awk 'NR > 1 {print $1 "/" $2}' | sort -u
}

_sluicectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local verbs="services backends flows explain stats ports pools probes kube"
	local verb="" word i
	local -a socket=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-s | --socket)
			socket=(--socket "${COMP_WORDS[i + 1]}")
			((i++))
			;;
		-o | --output | --client | --service) ((i++)) ;;
		-*) ;;
		*) [[ -z $verb ]] && verb=$word ;;
		esac
	done
	case $prev in
	-s | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-o | --output)
		mapfile -t COMPREPLY < <(compgen -W "json table" -- "$cur")
		return
		;;
	--service)
		mapfile -t COMPREPLY < <(compgen -W "$(_sluicectl_services "${socket[@]}")" -- "$cur")
		return
		;;
	--client) return ;;
	esac
	if [[ $cur == -* ]]; then
		local options="--socket --output --help --version"
		[[ $verb == flows ]] && options+=" --client --service"
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	elif [[ -z $verb ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur")
	elif [[ $verb == backends ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_sluicectl_services "${socket[@]}")" -- "$cur")
	elif [[ $verb == explain && $prev == explain ]]; then
		mapfile -t COMPREPLY < <(compgen -W "tcp udp sctp service" -- "$cur")
	elif [[ $verb == explain && $prev == service ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_sluicectl_services "${socket[@]}")" -- "$cur")
	fi
}

complete -F _sluicectl sluicectl
