# What others have written, against what we have: SDKs drive the simulator, and Meta's description of its API is held against
# the requests of our client. Sourced by tests/run.

# Where Meta's description lies, if it does; it is not ours to publish.
find_openapi() {
    ASSENT_OPENAPI=${ASSENT_OPENAPI:-$root/../shared/reference/business-messaging-api_v23.0.yaml}
    export ASSENT_OPENAPI
    [[ -f $ASSENT_OPENAPI ]]
}

# Needs the program that `check_what_stands_around` built.
check_interop() {
    if [[ -z ${program:-} ]]; then return; fi
    if ! python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        say "SDKs                       skipped: there is no Python 3.10 with venv on this machine"
        return
    fi
    # Without Node it drives the Python SDKs and says so.
    step "SDKs" env ASSENT_BINARY="$program" tests/interop/run || true
    if ! find_openapi; then
        say "requests by OpenAPI        skipped: Meta's description is not at $ASSENT_OPENAPI"
        return
    fi
    step "requests by OpenAPI" tests/interop/openapi/check || true
}
