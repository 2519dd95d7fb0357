# Sourced by the tools beside it: makes the virtual environment they run in.
#
# Sets `root` (the repository) and `python` (that of $RESUMEHUB_VENV, or of .venv in the
# repository); `install_project "[extra]"` fills it. A second run costs nothing: the
# installation is keyed by a hash of all that decides its content.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${RESUMEHUB_VENV:-$root/.venv}
mkdir -p "$venv"
venv=$(cd "$venv" && pwd)
python=$venv/bin/python

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

die() { say "$*"; exit 1; }

# apt_install WHY PACKAGE...: true when the packages are there afterwards.
apt_install() {
    local why=$1
    shift
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "$why; as root: apt-get install $*"
        return 1
    fi
    say "$why: installing $*"
    # Two of these may run side by side, and apt-get does not wait for another one.
    { flock 8 && without_starting_services apt_get_install "$@"; } >/dev/null 8>"$venv/.apt"
}

apt_get_install() {
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# without_starting_services COMMAND...: Debian starts a server when it is installed, unless this file says no.
without_starting_services() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    "$@"
)

base_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "no Python 3.11 or newer found; name one with PYTHON=/path/to/python3"
}

make_venv() {
    local base
    base=$(base_python)
    say "making $venv with $base"
    "$base" -c 'import ensurepip' 2>/dev/null ||
        apt_install "$base lacks its venv module" \
            "$("$base" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" ||
        die "cannot make a virtual environment"
    "$base" -m venv "$venv"
}

# install_project EXTRAS: "" or e.g. "[test]".
install_project() {
    local stamp=$venv/.installed$1 key
    # Two runs at once must not install into each other.
    if command -v flock >/dev/null; then
        exec 9<"$venv"
        flock 9
    fi
    "$python" -m pip --version >/dev/null 2>&1 || make_venv
    # The path counts too: in a copied repository an editable install still means the original.
    key=$({ printf '%s\n' "$root" && cat "$root/setup.cfg" "$root/pyproject.toml"; } | "$python" -c \
        'import hashlib, sys; print(sys.version_info[:2], hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
    if [ "$(cat "$stamp" 2>/dev/null)" != "$key" ]; then
        say "installing resumehub$1 into $venv"
        "$python" -m pip install -qq --disable-pip-version-check --editable "$root$1"
        printf '%s\n' "$key" >"$stamp"
    fi
    if command -v flock >/dev/null; then exec 9<&-; fi
}

# install_node_modules: what the tests of the JavaScript client need, exactly as tests/js/package-lock.json says.
install_node_modules() {
    local modules=$root/tests/js/node_modules lock=$root/tests/js/package-lock.json
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        apt_install "the tests of the JavaScript client need node and npm" nodejs npm || return
    fi
    if ! cmp -s "$lock" "$modules/.installed"; then
        say "installing ws and typescript into $modules"
        npm ci --silent --prefix "$root/tests/js" && cp "$lock" "$modules/.installed"
    fi
}
