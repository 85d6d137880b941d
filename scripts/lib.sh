# shellcheck shell=sh
# Functions for the scripts of this folder: messages, Python, virtual environment, servers.

section() { printf '\n==> %s\n' "$*"; }

fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# find_python: set $python to a Python 3.11 or newer that can create virtual environments.
find_python() {
    for python in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        if missing "$python"; then continue; fi
        if "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then return; fi
    done
    fail "Python 3.11 or newer with venv is required; on Debian and Ubuntu, as root: apt-get install python3 python3-venv"
}

# make_venv run|dev: create .venv with the bridge, or also with the tools for its tests. Does nothing if up to date.
make_venv() {
    stamp=".venv/made-for-$1-$(cat pyproject.toml constraints.txt | cksum | tr ' ' -)"
    [ -e "$stamp" ] && return
    section "virtual environment in .venv (once)"
    if [ ! -x .venv/bin/python ]; then
        find_python
        "$python" -m venv .venv || fail "cannot make a virtual environment in .venv"
    fi
    pip_install pip setuptools
    if [ "$1" = dev ]; then
        pip_install -e '.[postgresql]' --group dev
    else
        pip_install -e .
    fi
    touch "$stamp"
}

pip_install() {
    PYTHONWARNINGS=ignore .venv/bin/python -m pip install -q --disable-pip-version-check --root-user-action=ignore -c constraints.txt "$@"
}

# pip_settings: print a pip.conf with this machine's settings for reaching its index, without local folders.
pip_settings() {
    echo '[global]'
    python3 -m pip config list 2> /dev/null |
        sed -n -E "s/^[^.]*\.(index-url|extra-index-url|trusted-host|proxy|default-timeout|timeout|retries)='(.*)'\$/\1=\2/p" |
        sed 's/\\n/ /g' | grep -v '=file:' | awk -F= '!seen[$1]++' || true
}

# debian: succeed on Debian or Ubuntu, where `unpack` works, also without root.
debian() { ! missing apt-get && ! missing dpkg-deb && [ -d /proc/self/fd ]; }

# unpack FOLDER PACKAGE...: unpack Debian packages and their missing dependencies into a folder.
# Installs nothing and starts no service. FOLDER/bin contains the programs.
unpack() (
    folder=$1
    shift
    rm -rf "$folder" "$folder.part"
    mkdir -p "$folder.part/apt/lists/partial" "$folder.part/apt/archives/partial"
    cd "$folder.part" || exit 1
    # Ignore a source that does not answer if another one has the packages.
    if ! { fetch update || true; fetch install --download-only --yes --no-install-recommends "$@"; } > apt.log 2>&1; then
        cat apt.log >&2
        fail "cannot download Debian packages; as root: apt-get install $*"
    fi
    for package in apt/archives/*.deb; do dpkg-deb -x "$package" root; done
    rm -rf apt apt.log
    make_startable
    mv "$PWD" "$folder"
)

# make_startable: in this folder, with unpacked packages in root, create bin with an entry for each program.
make_startable() {
    for program in root/usr/bin/prometheus root/usr/bin/prometheus-alertmanager; do
        if [ -e "$program" ]; then relocate "$program"; fi
    done
    mkdir -p bin
    for program in root/usr/bin/* root/usr/sbin/* root/usr/lib/postgresql/*/bin/* root/usr/lib/chromium/chromium; do
        if [ -x "$program" ]; then ln -sf ../start "bin/${program##*/}"; fi
    done
    find root -name 'lib*.so*' | sed 's#/[^/]*$##' | sort -u > libraries
    printf '%s\n' '<fontconfig><dir prefix="relative">root/usr/share/fonts</dir></fontconfig>' > fonts.conf
    starter > start
    chmod +x start
}

# fetch ARGUMENT...: run apt-get with lists and archives in this folder; it sees the installed packages, and changes nothing.
fetch() {
    apt-get -q -o Dir::State="$PWD/apt" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$PWD/apt" \
        -o Acquire::Languages=none -o Debug::NoLocking=true -o APT::Sandbox::User="$(id -un)" "$@"
}

# relocate PROGRAM: Debian's Prometheus and Alertmanager open templates and pages below a fixed path. Replace it by a
# path of the same length to descriptor 9, which `starter` opens.
relocate() {
    LC_ALL=C sed 's#/usr/share/prometheus#/proc/self/fd///////9#g' "$1" > "$1.relocated"
    chmod +x "$1.relocated"
    mv "$1.relocated" "$1"
}

# starter: print the program to which all names in FOLDER/bin link.
starter() {
    cat << 'TEXT'
#!/bin/sh
# Starts the unpacked program of this name, with its unpacked libraries, fonts, time zones and templates.
name=${0##*/}
top=$(cd "${0%/*}/.." && pwd)
while read -r libraries; do
    LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$top/$libraries
done < "$top/libraries"
export LD_LIBRARY_PATH
if [ -d "$top/root/usr/share/fonts" ]; then export FONTCONFIG_FILE="$top/fonts.conf"; fi
if [ -d "$top/root/usr/share/zoneinfo" ]; then export ZONEINFO="$top/root/usr/share/zoneinfo"; fi
if [ -d "$top/root/usr/share/prometheus" ]; then exec 9< "$top/root/usr/share/prometheus"; fi
for program in "$top"/root/usr/lib/chromium/"$name" "$top"/root/usr/lib/postgresql/*/bin/"$name" "$top/root/usr/bin/$name" \
    "$top/root/usr/sbin/$name"; do
    if [ -x "$program" ]; then exec "$program" "$@"; fi
done
echo "$0: $name is not unpacked in $top" >&2
exit 127
TEXT
}

# use_unpacked FOLDER: append the unpacked programs to PATH.
use_unpacked() { export PATH="$PATH:$1/bin"; }

missing() { ! command -v "$1" > /dev/null 2>&1; }

# make_orchestrator NAME: create the environment of an orchestrator outside the project, and set $orchestrator to its
# folder. Its packages are pinned in tests/orchestrators/environments; a second run waits for the first.
make_orchestrator() {
    wanted=tests/orchestrators/environments/$1.txt
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/retrain-bridge/orchestrators
    orchestrator=$cache/$1-$(cksum < "$wanted" | tr ' ' -)
    mkdir -p "$cache"
    (
        exec 8> "$cache/lock"
        flock 8
        if [ -e "$orchestrator/.made" ]; then exit; fi
        section "$1 in $orchestrator (once)"
        find_python
        rm -rf "$orchestrator"
        "$python" -m venv "$orchestrator" || fail "cannot make a virtual environment in $orchestrator"
        install_pinned "$orchestrator" "$wanted"
        touch "$orchestrator/.made"
    )
}

# install_pinned ENVIRONMENT FILE: install the packages of FILE with uv, which takes seconds, otherwise with pip.
install_pinned() {
    if quiet_pip "$1" uv==0.13.9; then
        if "$1/bin/uv" pip install -q --no-cache --python "$1/bin/python" -r "$2"; then return; fi
    fi
    quiet_pip "$1" -r "$2"
}

quiet_pip() {
    in_environment=$1/bin/python
    shift
    "$in_environment" -m pip install -q --disable-pip-version-check --root-user-action=ignore "$@"
}
