#!/bin/sh
# Sets up a virtual environment:  sh tools/setup.sh FOLDER REQUIREMENT
#
# Needs Python 3.11 or newer with venv and headers, and gcc.  On Debian and
# Ubuntu, as root, it installs whichever of them is missing; elsewhere it says
# what to install.  PYTHON=... picks an interpreter.
set -eu

venv=$1
requirement=$2

say() { printf 'setup: %s\n' "$*" >&2; }

find_python() {
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return 0
        fi
    done
    return 1
}

has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# Compiling is the one honest test: a compiler without libc headers, or Python
# without its own, is as good as none.
can_compile() {
    include=$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    printf '#include <Python.h>\nint main(void) { return 0; }\n' |
        gcc -I"$include" -fsyntax-only -x c - 2>/dev/null
}

complete() { python=$(find_python) && has_venv "$python" && can_compile "$python"; }

if ! complete; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say 'installing gcc, Python headers and venv with apt-get'
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -qq -y --no-install-recommends \
            gcc libc6-dev python3 python3-dev python3-venv >/dev/null
    fi
    if ! complete; then
        say 'needs Python 3.11+ with venv and headers, and gcc. On Debian and Ubuntu:'
        say '    apt-get install gcc libc6-dev python3-dev python3-venv'
        exit 1
    fi
fi

# What tests need besides packages of Python; those of a thing that is missing are skipped.
# RUNLEVEL=1 keeps packages from starting services.
install_for_tests() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $1 with apt-get, for tests"
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update -qq &&
            RUNLEVEL=1 apt-get install -qq -y --no-install-recommends "$1"; } >/dev/null ||
            say "$1 could not be installed"
    fi
}
case $requirement in
*dev*)
    # A server for the Redis store, the reader of unit files, and promtool, which reads alarms
    # and panels as Prometheus would.
    command -v redis-server >/dev/null || command -v valkey-server >/dev/null ||
        install_for_tests redis-server
    command -v systemd-analyze >/dev/null || install_for_tests systemd
    command -v promtool >/dev/null || install_for_tests prometheus
    # A browser, something to write with in it, and Node with what integration/web needs.
    if ! command -v chromium >/dev/null; then
        install_for_tests fonts-liberation
        install_for_tests chromium
    fi
    command -v npm >/dev/null || install_for_tests npm
    if command -v npm >/dev/null; then
        (cd "$(dirname "$0")/../integration/web" && npm ci --silent >/dev/null 2>&1) ||
            say 'the packages of integration/web could not be installed'
    fi
    ;;
esac

if ! "$venv/bin/python" -c '' 2>/dev/null; then
    say "creating $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

say "installing $requirement and what it depends on (the first time takes a minute)"
pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
# The build tools stay in the environment, so that a changed C file is compiled
# in place without building a package.
pip install 'setuptools>=77.0.3' 'cffi>=1.17.1'
pip install --no-build-isolation --editable "$requirement"
