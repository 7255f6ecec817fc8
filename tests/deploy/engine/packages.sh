# A Docker engine of one's own, from Debian's packages. Sourced by tests/deploy/compose, after tests/lib.

# The engine, its client and compose, unpacked and not installed: an engine that this machine has stays as it is. From
# Debian 13 whatever Debian this is, because compose wants an engine of 25 or newer; they need a C library of 2.34 or newer.
readonly ENGINE_SUITE=trixie
readonly ENGINE_PACKAGES=(docker.io docker-cli docker-compose docker-buildx containerd)
# What the engine calls, what gives its network namespace a way out, what makes base images, and what this script calls.
readonly HOST_PACKAGES=(runc tini iptables iproute2 slirp4netns mmdebstrap busybox-static jq curl util-linux zstd)

readonly engine_tools=$tools/compose
readonly debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg

host_packages_missing() {
    local package
    for package in "${HOST_PACKAGES[@]}"; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q ' installed$' || echo "$package"
    done
}

# apt with a list of its own: nothing of another Debian can get onto this machine. Signatures are checked as always.
apt_of_suite() {
    local lists=$engine_tools/apt
    mkdir -p "$lists/state/lists/partial" "$lists/cache/archives/partial" &&
        echo "deb [signed-by=$debian_keys] http://deb.debian.org/debian $ENGINE_SUITE main" >"$lists/sources.list" &&
        apt-get -o Dir::Etc::sourcelist="$lists/sources.list" -o Dir::Etc::sourceparts=/dev/null \
            -o Dir::State="$lists/state" -o Dir::Cache="$lists/cache" -o APT::Sandbox::User=root "$@"
}

unpack_engine() {
    local partial=$engine_tools/engine.partial package
    rm -rf "$partial" && mkdir -p "$partial/packages" && apt_of_suite update &&
        (cd "$partial/packages" && apt_of_suite download "${ENGINE_PACKAGES[@]}") || return 1
    for package in "$partial"/packages/*.deb; do dpkg-deb -x "$package" "$partial" || return 1; done
    rm -rf "$partial/packages" "$engine_tools/engine" "$engine_tools/apt" && mv "$partial" "$engine_tools/engine"
}

ensure_engine() {
    local missing
    command -v apt-get >/dev/null || stop_run "this needs Debian's packages"
    mapfile -t missing < <(host_packages_missing)
    if ((${#missing[@]})); then ensure_packages "helpers" "${missing[@]}"; fi
    if [[ ! -x $engine_tools/engine/usr/sbin/dockerd ]]; then step "unpack engine" unpack_engine || exit 1; fi
    export PATH=$engine_tools/engine/usr/sbin:$engine_tools/engine/usr/bin:$PATH
    dockerd --version >/dev/null || stop_run "Debian $ENGINE_SUITE's dockerd does not run on this machine"
}
