_attorn() {
	local cur=${COMP_WORDS[COMP_CWORD]} words= options=
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W 'up init authority gateway help status user role agent route secret grant token policy run mcp http explain ledger completion' -- "$cur"))
		return
	fi
	case ${COMP_WORDS[1]} in
	status) words='' options='--help --dir --url --json --as --user-key --passphrase-file' ;;
	user) words='key add key-add key-retire roles state list show' options='--help --dir --url --json --as --user-key --passphrase-file --key --role --out' ;;
	role) words='put list' options='--help --dir --url --json --as --user-key --passphrase-file --scope' ;;
	agent) words='key register update key-add key-retire entries state list show' options='--help --dir --url --json --as --user-key --passphrase-file --key --owner --kind --scope --role --depth --file --out' ;;
	route) words='put remove list show' options='--help --dir --url --json --as --user-key --passphrase-file --file' ;;
	secret) words='put remove list' options='--help --dir --url --json --as --user-key --passphrase-file --file' ;;
	grant) words='create revoke list show' options='--help --dir --url --json --as --user-key --passphrase-file --agent --scope --allow --uses --for --depth --reason' ;;
	token) words='get capability introspect revoke' options='--help --dir --json --key --agent --grant --issuer --file --data' ;;
	policy) words='push check rules show' options='--help --dir --url --json --as --user-key --passphrase-file' ;;
	run) words='' options='--help --dir --as --grant --entry' ;;
	mcp) words='' options='--help --dir --json --key --agent --grant --issuer' ;;
	http) words='' options='--help --dir --json --key --agent --grant --issuer --data --type' ;;
	explain) words='' options='--help --dir --url --json --as --user-key --passphrase-file' ;;
	ledger) words='head export verify' options='--help --dir --url --json --as --user-key --passphrase-file --file --out --vkey --from --to' ;;
	completion) words='' options='--help' ;;
	up|init|authority|gateway) options='--dir --passphrase-file --operator --port' ;;
	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
	elif [ "$COMP_CWORD" -eq 2 ]; then
		COMPREPLY=($(compgen -W "$words" -- "$cur"))
	fi
}
complete -o default -F _attorn attorn
