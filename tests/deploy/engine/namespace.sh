# Namespaces for the engine, and its start and stop. Sourced by tests/deploy/compose.
#
# Network, processes and mounts are the engine's own. So its ports meet nobody's, its packet filter rules are not the
# machine's, and whatever it started ends when the namespaces' first process ends, however that happened.

readonly ENGINE_SECONDS=60
# Of the tap device; containers are told, because what they send out has to fit.
readonly UPLINK_MTU=1400

namespace_pid= # the process that holds the namespaces
uplink_pid=    # slirp4netns, which carries their packets out
engine_pid=

# Outside: runs this program again inside, with a way out to the package registries, and takes over its exit status.
run_inside() { # command...
    local status=0
    setpriv --pdeathsig KILL unshare --net --pid --mount --fork --kill-child --mount-proc "$@" &
    namespace_pid=$!
    # `unshare` itself is in the new network namespace as soon as it has another one than we have.
    wait_for 10 another_network_namespace || stop_run "this machine gives us no namespace: root and a kernel that has them are needed"
    setpriv --pdeathsig KILL slirp4netns --configure --mtu "$UPLINK_MTU" --disable-host-loopback "$namespace_pid" tap0 \
        >"$logs/slirp4netns.log" 2>&1 </dev/null &
    uplink_pid=$!
    echo "$namespace_pid" >"$work/namespace.pid"
    wait "$namespace_pid" || status=$?
    namespace_pid=
    stop_namespace
    return "$status"
}

another_network_namespace() {
    [[ $(readlink "/proc/$namespace_pid/ns/net") != "$(readlink /proc/self/ns/net)" ]]
}

stop_namespace() {
    local pid
    # TERM would stop at `unshare`; its end kills what is inside.
    for pid in $namespace_pid $uplink_pid; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    namespace_pid= uplink_pid=
}

# Tries a command every tenth of a second.
wait_for() { # seconds, command...
    local deadline=$((SECONDS + $1))
    shift
    until "$@" 2>/dev/null; do
        if ((SECONDS >= deadline)); then return 1; fi
        sleep 0.1
    done
}

# Inside, from here on.

has_way_out() { [[ -n $(ip route show default) ]]; }

write_client_configuration() {
    export DOCKER_CONFIG=$work/docker DOCKER_HOST=unix://$work/docker.sock
    mkdir -p "$DOCKER_CONFIG"
    jq -n --arg plugins "$engine_tools/engine/usr/libexec/docker/cli-plugins" '{cliPluginsExtraDirs: [$plugins]}' >"$DOCKER_CONFIG/config.json"
}

# Images and the cache of builds stay in .tools for the next run. 10.0.2.3 is slirp4netns' name server: this machine's own may
# listen on a loopback that containers do not have.
start_engine() {
    local data=$engine_tools/data
    ip link set lo up
    wait_for 20 has_way_out || return 1
    mkdir -p "$data"
    dockerd --host "$DOCKER_HOST" --data-root "$data" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
        --storage-driver overlay2 --mtu "$UPLINK_MTU" --dns 10.0.2.3 --init-path "$(command -v tini-static || command -v tini)" \
        >"$logs/engine.log" 2>&1 </dev/null 3>&- &
    engine_pid=$!
    wait_for "$ENGINE_SECONDS" docker info >/dev/null || { tail -n 20 "$logs/engine.log" >&2 && return 1; }
    # What a run that was cut short left in the data.
    docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
    docker volume ls --quiet | xargs --no-run-if-empty docker volume rm >/dev/null
    docker network prune --force >/dev/null
    docker version --format 'engine {{.Server.Version}}, API {{.Server.APIVersion}}, client {{.Client.Version}}' && docker compose version
}

stop_engine() {
    if [[ -z $engine_pid ]]; then return; fi
    kill -TERM "$engine_pid" 2>/dev/null || true
    wait "$engine_pid" 2>/dev/null || true
    engine_pid=
}
