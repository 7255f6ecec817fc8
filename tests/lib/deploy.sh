# What stands around the program: manifests and compose file, dashboards and alert rules. Sourced by tests/run.

have_python_and_node() {
    command -v node >/dev/null && command -v npm >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null
}

# The program of this build. The whole workspace is named so that features, and with them what is built already, stay the same.
build_program() {
    step "program" cargo build "${locked[@]}" --workspace --bin assent || return 1
    program=${CARGO_TARGET_DIR:-$root/target}/debug/assent
}

# Against the published schemas of Kubernetes, for both overlays; the configurations by the program itself.
check_manifests() {
    if ! have_python_and_node; then
        say "manifests                  skipped: python3 with venv, node and npm are not all on this machine"
        return
    fi
    step "manifests" env ASSENT_BINARY="$program" tests/deploy/validate || true
}

# Debian's package would start a server of its own; only the program is taken out of it.
install_promtool() {
    local partial=$tools/prometheus.partial
    rm -rf "$partial" && mkdir -p "$partial" && as_root apt-get -o DPkg::Lock::Timeout=300 update &&
        (cd "$partial" && { apt-get download promtool || apt-get download prometheus; }) &&
        dpkg-deb -x "$partial"/*.deb "$partial" && mkdir -p "$tools/bin" &&
        mv "$partial/usr/bin/promtool" "$tools/bin/promtool" && rm -rf "$partial"
}

ensure_promtool() {
    if command -v promtool >/dev/null; then return; fi
    if command -v apt-get >/dev/null; then
        prepare_root promtool
        step "install promtool" install_promtool || true
    else
        say "promtool                   skipped: it is not on this machine; the syntax of alert rules and queries goes unchecked"
    fi
}

# Every rule is what promtool takes and fires when it should. Whether what rules and panels name is exported, a test of the
# suite `processes` says.
check_dashboards() {
    ensure_promtool
    if command -v promtool >/dev/null; then step "dashboards" tests/dashboards/check || true; fi
}

check_what_stands_around() {
    build_program || return 0
    check_manifests
    check_dashboards
}
