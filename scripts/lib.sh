# Shared by the scripts of this folder: says what it does, finds Python, makes the virtual environment, finds servers.

section() { printf '\n==> %s\n' "$*"; }

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

find_python() {
    for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        [ -n "$candidate" ] || continue
        command -v "$candidate" > /dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; on Debian or Ubuntu: apt-get install python3 python3-venv"
}

# make_venv run|dev: .venv with the bridge, and with the tools of its tests. Does nothing when it is up to date.
make_venv() {
    stamp=".venv/made-for-$1-$(cat pyproject.toml constraints.txt | cksum | tr ' ' -)"
    [ -e "$stamp" ] && return
    section "virtual environment in .venv (once)"
    [ -x .venv/bin/python ] || "$(find_python)" -m venv .venv || fail "cannot make .venv; apt-get install python3-venv"
    .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt pip setuptools
    if [ "$1" = dev ]; then
        .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[postgresql]' --group dev
    else
        .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
    fi
    touch "$stamp"
}

debian() { command -v apt-get > /dev/null 2>&1 && command -v dpkg > /dev/null 2>&1; }

# unpack FOLDER PACKAGE...: Debian packages unpacked into a folder of ours; nothing is installed, no service starts.
unpack() {
    folder=$1
    shift
    mkdir -p "$folder/packages"
    if [ "$(id -u)" = 0 ] && [ -z "$(ls -A /var/lib/apt/lists 2> /dev/null)" ]; then
        apt-get update -qq
    fi
    (cd "$folder/packages" && apt-get download -q "$@" > /dev/null) || fail "cannot download $*: try apt-get update"
    for package in "$folder"/packages/*.deb; do
        dpkg -x "$package" "$folder/root"
    done
    rm -rf "$folder/packages"
}

# use_unpacked FOLDER: programs unpacked there come after those of the system.
use_unpacked() {
    PATH="$PATH:$1/root/usr/bin:$1/root/usr/sbin"
    for version in "$1"/root/usr/lib/postgresql/*/bin; do
        [ -d "$version" ] && PATH="$PATH:$version"
    done
    export PATH
}

missing() { ! command -v "$1" > /dev/null 2>&1; }
