# tools/lib.sh: what the scripts in tools/ share. Sourced, never run; POSIX sh.
# Sets: top (the source tree), deps (everything that is fetched and not ours), venv.

top=$(cd "$(dirname "$0")/.." && pwd)
deps=${ATTORN_DEPS_DIR:-$top/build-deps}
venv=$deps/venv

say() {
	printf '%s: %s\n' "${0##*/}" "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Prints a Python >= 3.11 that can make virtual environments.
find_python() {
	for _p in python3 /usr/bin/python3; do
		if "$_p" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' \
			2>/dev/null; then
			"$_p" -c 'import sys; print(sys.executable)'
			return 0
		fi
	done
	return 1
}

# Makes the virtual environment unless it is there and works.
need_venv() {
	"$venv/bin/python" -c 'import pip' 2>/dev/null && return 0
	_py=$(find_python) || die "no Python >= 3.11 with venv: apt-get install python3-venv"
	rm -rf "$venv"
	mkdir -p "$deps"
	"$_py" -m venv "$venv"
}

# need_pins FILE NAME: installs a requirement file whose every line carries a hash, once per content.
need_pins() {
	need_venv
	cmp -s "$1" "$venv/.have-$2" && return 0
	retry "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
		--require-hashes -r "$1"
	cp "$1" "$venv/.have-$2"
}

# retry CMD...: registries have bad moments; three tries, then the last failure is the answer.
retry() {
	for _try in 1 2; do
		"$@" && return 0
		say "failed, trying again: $1" >&2
		sleep $((_try * 2))
	done
	"$@"
}

# One setup at a time per dependency folder: worktrees share it. Waits; the lock goes with the shell.
lock_deps() {
	mkdir -p "$deps"
	exec 9>"$deps/.lock"
	flock 9
}
