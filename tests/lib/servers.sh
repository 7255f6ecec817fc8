# Servers: a private Postgres and a private NATS with JetStream, on free ports of the loopback. Sourced by tests/run.

postgres_pid=
nats_pid=
launched_pid=
run_as=() # prefix that drops root, which Postgres refuses

readonly START_TRIES=5
readonly START_SECONDS=60
readonly STOP_SECONDS=30

# Below the range that the kernel hands to outgoing connections: a port in that range can be taken by any client
# between our look and the server's bind.
free_port() {
    local port
    while :; do
        port=$((10000 + (RANDOM * 32768 + RANDOM) % 20000))
        if ! (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# Starts a server in its own process group, so that Ctrl-C reaches this script only, which then stops it in order.
# Should this script be killed outright, the kernel stops the server (`setpriv --pdeathsig`).
launch() { # log, command...
    local log=$1
    shift
    set -m
    "$@" >>"$log" 2>&1 </dev/null 3>&- &
    launched_pid=$!
    set +m
}

wait_until_ready() { # pid, check...
    local pid=$1 deadline=$((SECONDS + START_SECONDS))
    shift
    while ((SECONDS < deadline)); do
        kill -0 "$pid" 2>/dev/null || return 1
        if "$@"; then return 0; fi
        sleep 0.05
    done
    return 1
}

choose_postgres_user() {
    if ((EUID != 0)); then return; fi
    local user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    run_as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --init-groups)
    "${run_as[@]}" test -x "$work" || stop_run "user $user cannot reach $work: set TMPDIR to a place it can"
    chown "$user" "$work/postgres"
}

# The eighth line of postmaster.pid is the server's own word for its state; pg_ctl reads the same.
postgres_is_ready() {
    [[ $(sed -n 8p "$work/postgres/data/postmaster.pid" 2>/dev/null) == ready* ]]
}

start_postgres() {
    local programs=$ASSENT_TEST_POSTGRES_BIN data=$work/postgres/data log=$logs/postgres.log port try
    mkdir "$work/postgres"
    choose_postgres_user
    # The cluster lives for one run: only the server itself has to sync, and it does.
    "${run_as[@]}" "$programs/initdb" -D "$data" -U postgres --auth=trust -E UTF8 --no-locale --no-sync \
        >"$logs/initdb.log" 2>&1 </dev/null || stop_run "initdb failed: $(tail -n 3 "$logs/initdb.log")"
    for ((try = 1; try <= START_TRIES; try++)); do
        port=$(free_port)
        # A change of user clears the death signal, so it is set after that.
        launch "$log" "${run_as[@]}" setpriv --pdeathsig INT "$programs/postgres" -D "$data" -p "$port" \
            -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c shared_buffers=128MB -c max_connections=200
        postgres_pid=$launched_pid
        if wait_until_ready "$postgres_pid" postgres_is_ready; then
            export ASSENT_TEST_POSTGRES_URL=postgres://postgres@127.0.0.1:$port/postgres
            return
        fi
        stop_server "$postgres_pid" INT
        postgres_pid=
    done
    stop_run "Postgres did not start: $(tail -n 3 "$log")"
}

# The server greets with INFO once JetStream is recovered.
nats_is_ready() { # port
    local greeting
    greeting=$(
        exec 2>/dev/null
        exec 4<>"/dev/tcp/127.0.0.1/$1" && IFS= read -r -t 2 line <&4 && echo "$line"
    ) || true
    [[ $greeting == INFO* && $greeting == *'"jetstream":true'* ]]
}

start_nats() {
    local log=$logs/nats.log port try
    for ((try = 1; try <= START_TRIES; try++)); do
        port=$(free_port)
        launch "$log" setpriv --pdeathsig TERM "$ASSENT_TEST_NATS_SERVER" -a 127.0.0.1 -p "$port" -js -sd "$work/nats"
        nats_pid=$launched_pid
        if wait_until_ready "$nats_pid" nats_is_ready "$port"; then
            export ASSENT_TEST_NATS_URL=nats://127.0.0.1:$port
            return
        fi
        stop_server "$nats_pid" TERM
        nats_pid=
    done
    stop_run "NATS did not start: $(tail -n 3 "$log")"
}

start_servers() {
    local started=$SECONDS
    start_postgres
    start_nats
    # With both at hand, a suite that needs them and does not find them has failed, not been skipped.
    export ASSENT_TEST_REQUIRE_SERVERS=1
    report "start Postgres and NATS" ok $((SECONDS - started))
}

print_exports() {
    local name
    for name in ASSENT_TEST_POSTGRES_URL ASSENT_TEST_NATS_URL ASSENT_TEST_POSTGRES_BIN ASSENT_TEST_NATS_SERVER \
        ASSENT_TEST_REQUIRE_SERVERS; do
        printf 'export %s=%q\n' "$name" "${!name}"
    done
}

wait_for_servers_forever() {
    wait -n "$postgres_pid" "$nats_pid" || true
    stop_run "a server stopped by itself"
}

stop_server() { # pid, signal
    local deadline=$((SECONDS + STOP_SECONDS))
    if [[ -z $1 ]]; then return; fi
    kill "-$2" "$1" 2>/dev/null || true
    while kill -0 "$1" 2>/dev/null; do
        if ((SECONDS >= deadline)); then kill -9 "$1" 2>/dev/null || true; fi
        sleep 0.05
    done
    wait "$1" 2>/dev/null || true
}

stop_servers() {
    stop_server "$nats_pid" TERM
    stop_server "$postgres_pid" INT # fast shutdown: clients are cut off, data is written
}
