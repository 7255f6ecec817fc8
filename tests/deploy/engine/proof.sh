# The steps of the proof, inside the namespaces. Sourced by tests/deploy/compose.
#
# A step fails by a command that fails; what it says behind `=>` is printed under its line. All work on a copy of the
# repository's files, so that neither .env nor the tenants file of whoever works here is touched.

readonly SERVICES=(ingress consent dispatcher status-tracker)
# How long recoveries and messages may take on a busy machine.
readonly UP_SECONDS=300
readonly RECOVERY_SECONDS=120
readonly MESSAGE_SECONDS=120
readonly SIMULATOR=http://127.0.0.1:8090/_sim
readonly SENDER=200000000000001

copy= # the copy of the repository's files

prove() { # name, function, arguments
    local name=$1
    step "$@" || return 1
    sed -n 's/^=> /    /p' "$logs/${name// /-}.log" >&3
}

note() { echo "=> $*"; }

# Steps run where `set -e` does not hold.
refuse() { echo "$*" >&2 && return 1; }

prove_all() {
    copy=$work/assent
    prove "engine" start_engine &&
        prove "base images" make_base_images &&
        prove "files" copy_files &&
        prove "image" make_image_of_assent &&
        { ! $rebuild || prove "image again" rebuild_image; } &&
        prove "image's facts" image_is_as_promised &&
        prove "up from nothing" bring_up &&
        prove "containers' facts" containers_are_confined &&
        prove "message sent and read" message_is_read first &&
        prove "health" health_check_sees_an_outage &&
        prove "kill dispatcher" survives_death_of dispatcher &&
        prove "kill consent" survives_death_of consent &&
        prove "kill status-tracker" survives_death_of status-tracker &&
        prove "kill ingress" survives_death_of ingress &&
        prove "kill nats" survives_death_of nats &&
        prove "kill postgres" survives_death_of postgres &&
        prove "docker kill" survives_docker_kill dispatcher &&
        prove "prometheus" prometheus_reads_everything &&
        prove "down with data kept" go_down &&
        prove "log as it was" log_is_as_it_was &&
        prove "up again" come_up_again &&
        prove "down with volumes" go_down_for_good
}

# --- files and image --------------------------------------------------------------------------------------------------

copy_files() {
    mkdir "$copy" &&
        git -c safe.directory="$root" ls-files -z --cached --others --exclude-standard |
        tar -c --null --files-from - --ignore-failed-read | tar -x -C "$copy" &&
        "$copy/deploy/compose/setup" &&
        cat >>"$copy/.env" <<ENVIRONMENT
BUILD_IMAGE=$BUILD_IMAGE:latest
RUNTIME_IMAGE=$RUNTIME_IMAGE:latest
CARGO_PROFILE=$profile
POSTGRES_IMAGE=$POSTGRES_IMAGE:latest
NATS_IMAGE=$NATS_IMAGE:latest
PROMETHEUS_IMAGE=$PROMETHEUS_IMAGE:latest
ENVIRONMENT
}

compose() { docker compose --project-directory "$copy" "$@"; }

# With --binary the stage `build` is a directory that has what that stage leaves, and nothing is asked of BUILD_IMAGE but to be
# there; all other instructions are the file's.
make_image_of_assent() {
    local stage=$work/stage
    if [[ -z $binary ]]; then
        compose --progress plain build ingress || return 1
        note "by docker compose build, profile $profile"
    else
        install -D "$binary" "$stage/out/usr/local/bin/assent" &&
            strip --strip-debug "$stage/out/usr/local/bin/assent" &&
            install -D -m 0644 Cargo.lock "$stage/out/usr/share/assent/Cargo.lock" &&
            install -D -m 0644 /etc/ssl/certs/ca-certificates.crt "$stage/out/etc/ssl/certs/ca-certificates.crt" &&
            docker buildx build --file "$copy/deploy/Dockerfile" --build-context build="$stage" \
                --build-arg BUILD_IMAGE="$RUNTIME_IMAGE:latest" --build-arg RUNTIME_IMAGE="$RUNTIME_IMAGE:latest" --progress plain --tag assent:local "$copy" || return 1
        note "NOT COMPILED in the build: the binary was given by --binary"
    fi
    # The client on this machine is the program out of the image.
    docker create --name assent-program assent:local && docker cp assent-program:/usr/local/bin/assent "$work/program" &&
        docker rm assent-program
}

# The layer of the dependencies is the one `deploy/build` before the sources are copied.
rebuild_image() {
    local log=$work/rebuild.log started=$SECONDS
    # Never what an earlier run has built.
    echo "// Changed by tests/deploy/compose, $(date +%s%N)." >>"$copy/services/assent/src/main.rs"
    compose --progress plain build ingress >"$log" 2>&1 || { cat "$log" && return 1; }
    cat "$log"
    dependencies_were_kept "$log" || refuse "the layer of the dependencies was built again" || return 1
    grep -qE 'Compiling assent v' "$log" || refuse "the changed source was not compiled" || return 1
    note "one source file changed: dependencies kept, compiled again in $((SECONDS - started)) s"
}

dependencies_were_kept() { # log
    local number
    number=$(sed -nE 's/^#([0-9]+) \[.*build [0-9/]+\] RUN deploy\/build.*/\1/p' "$1" | head -n 1)
    [[ -n $number ]] && grep -q "^#$number CACHED" "$1"
}

image_is_as_promised() {
    local facts user entry
    facts=$(docker image inspect assent:local) || return 1
    user=$(jq -r '.[0].Config.User' <<<"$facts") entry=$(jq -r '.[0].Config.Entrypoint | join(" ")' <<<"$facts")
    [[ $user == 10001:10001 ]] || refuse "user $user" || return 1
    [[ $entry == /usr/local/bin/assent ]] || refuse "entry point $entry" || return 1
    jq -e '.[0].Config.Healthcheck.Test[1] == "/usr/local/bin/assent"' <<<"$facts" || refuse "no health check by the binary" || return 1
    [[ $(jq '.[0].Config.Labels | keys | map(select(startswith("org.opencontainers.image."))) | length' <<<"$facts") -ge 8 ]] ||
        refuse "labels are missing" || return 1
    ! docker run --rm --entrypoint /bin/sh assent:local -c true 2>/dev/null || refuse "the image has a shell" || return 1
    docker run --rm --read-only --network none assent:local --version || return 1
    note "$(jq '.[0].Size / 1e6 | floor' <<<"$facts") MB, user $user, no shell, health check by the binary, lock file for scanners"
}

# --- up ---------------------------------------------------------------------------------------------------------------

bring_up() {
    local started=$SECONDS
    # `--build` is what the documents say; with a given binary it would compile after all.
    local build=(--build)
    if [[ -n $binary ]]; then build=(--no-build); fi
    compose --progress plain up "${build[@]}" --wait --wait-timeout "$UP_SECONDS" || { compose logs --tail 30 && return 1; }
    compose ps --all
    note "$(compose ps --quiet | wc -l) containers healthy after $((SECONDS - started)) s"
}

container_of() { compose ps --all --quiet "$1"; }

inspect() { # service, format
    docker inspect --format "$2" "$(container_of "$1")"
}

containers_are_confined() {
    local service pid facts
    for service in "${SERVICES[@]}" simulator; do
        pid=$(inspect "$service" '{{.State.Pid}}')
        facts=$(sed -nE 's/^(Uid|Gid|CapEff|CapBnd|NoNewPrivs):\s+(\S+).*/\1=\2/p' "/proc/$pid/status" | tr '\n' ' ')
        [[ $facts == "Uid=10001 Gid=10001 CapEff=0000000000000000 CapBnd=0000000000000000 NoNewPrivs=1 " ]] ||
            refuse "$service runs as $facts" || return 1
        awk '$5 == "/" { exit $6 !~ /^ro(,|$)/ }' "/proc/$pid/mountinfo" || refuse "$service has a writable root" || return 1
        ! touch "/proc/$pid/root/written" 2>/dev/null || refuse "$service's root took a file" || return 1
    done
    note "all roles: user 10001, no capability, no new privileges, read-only root"
    [[ $(compose ps --format json | jq -r '.Publishers[]? | select(.PublishedPort > 0) | .URL' | sort -u) == 127.0.0.1 ]] ||
        refuse "a port is open to more than the loopback" || return 1
    note "published ports on the loopback only"
}

# --- messages ---------------------------------------------------------------------------------------------------------

# The client as a person uses it, from outside the containers, set up as docs/deploying.md says.
client() {
    ASSENT_API_KEY=$(sed -n 's/^ASSENT_API_KEY=//p' "$copy/.env") ASSENT_CONSENT_ENDPOINT=http://127.0.0.1:50052 "$work/program" "$@"
}

# A person for each message, who reads what comes. A simulator that was started anew has forgotten them.
phone_of() { printf '4915112%06d' "$((16#$(sha256sum <<<"$1" | cut -c 1-5) % 1000000))"; }

simulate_person() { # phone
    curl --silent --fail --show-error --request PATCH "$SIMULATOR/users/$1" --output /dev/null \
        --data '{"on_whatsapp": true, "read_chance": 1.0, "reply_chance": 0.0, "blocks_after": 1000000}'
}

is_read() { # key
    [[ $(client explain --json --key "$1" | jq -r .state) == MESSAGE_STATE_READ ]]
}

opt_in() { # phone
    client opt-in "+$1" --category utility --source web-form --wording "Yes, keep me posted"
}

# The same call with the same key, as often as it takes: that is what callers are told to do.
send_message() { # key
    client send --key "$1" --wait accepted --from "$SENDER" --to "+$(phone_of "$1")" --template order_update --param Ana --param A-17
}

# Sent from outside by the commands of docs/deploying.md, and waited for until Meta's stand-in has reported it read.
message_is_read() { # key
    local started=$SECONDS phone
    phone=$(phone_of "$1")
    wait_for "$MESSAGE_SECONDS" simulate_person "$phone" && wait_for "$MESSAGE_SECONDS" opt_in "$phone" || return 1
    wait_for "$MESSAGE_SECONDS" send_message "$1" || send_message "$1" || return 1
    wait_for "$MESSAGE_SECONDS" is_read "$1" || { client explain --key "$1" && compose logs --tail 20 && return 1; }
    [[ $(curl --silent "$SIMULATOR/accepted?recipient=%2B$phone" | jq '.data | length') == 1 ]] ||
        refuse "Meta's stand-in did not take exactly one message" || return 1
    client explain --key "$1"
    note "message $1: opted in, sent once, delivered and READ within $((SECONDS - started)) s"
}

# --- failures ---------------------------------------------------------------------------------------------------------

health_of() { inspect "$1" '{{.State.Health.Status}}'; }
is_healthy() { [[ $(health_of "$1") == healthy ]]; }
is_unhealthy() { [[ $(health_of "$1") == unhealthy ]]; }

health_check_sees_an_outage() {
    local started=$SECONDS
    docker pause "$(container_of postgres)" || return 1
    wait_for "$RECOVERY_SECONDS" is_unhealthy ingress || refuse "ingress called itself healthy without a database" || return 1
    inspect ingress '{{(index .State.Health.Log 0).Output}}'
    note "Postgres paused: ingress unhealthy after $((SECONDS - started)) s"
    docker unpause "$(container_of postgres)" || return 1
    wait_for "$RECOVERY_SECONDS" is_healthy ingress || refuse "ingress did not recover" || return 1
    note "and healthy again after it went on"
    message_is_read after-pause
}

has_restarted() { # service, restarts before
    (($(inspect "$1" '{{.RestartCount}}') > $2)) && is_healthy "$1"
}

# As a crash does it: the process is gone, and nobody told the engine. A message that comes meanwhile must get through.
survives_death_of() { # service
    local started=$SECONDS before
    before=$(inspect "$1" '{{.RestartCount}}') && kill -KILL "$(inspect "$1" '{{.State.Pid}}')" || return 1
    message_is_read "during-$1" || return 1
    wait_for "$RECOVERY_SECONDS" has_restarted "$1" "$before" || refuse "$1 did not come back" || return 1
    note "$1: killed, restarted by its policy, healthy $((SECONDS - started)) s after its death"
}

# The engine takes `docker kill` for a person's will and does not restart what it ended; the next `up` does.
survives_docker_kill() { # service
    docker kill "$(container_of "$1")" && sleep 2 || return 1
    [[ $(inspect "$1" '{{.State.Status}}') == exited ]] || refuse "$1 was restarted against docker's own rule" || return 1
    wait_for "$MESSAGE_SECONDS" simulate_person "$(phone_of while-killed)" && opt_in "$(phone_of while-killed)" &&
        send_message while-killed || return 1
    compose --progress plain up --no-build --wait --wait-timeout "$UP_SECONDS" || return 1
    message_is_read while-killed || return 1
    note "$1: docker kill, a message taken meanwhile, brought back by docker compose up --wait"
}

targets_are_up() {
    [[ $(curl --silent --fail 'http://127.0.0.1:9095/api/v1/query?query=sum(up)' | jq -r '.data.result[0].value[1]') == 4 ]]
}

prometheus_reads_everything() {
    local rules
    compose --progress plain up --no-build --wait --wait-timeout "$UP_SECONDS" prometheus || { compose logs prometheus && return 1; }
    wait_for "$RECOVERY_SECONDS" targets_are_up || { curl --silent http://127.0.0.1:9095/api/v1/targets && return 1; }
    rules=$(curl --silent --fail http://127.0.0.1:9095/api/v1/rules | jq '[.data.groups[].rules[] | select(.health != "err")] | length')
    ((rules > 0)) || refuse "no rule was loaded" || return 1
    note "Prometheus scrapes four services and has $rules rules without an error"
    note "NOT RUN: collector, Jaeger, Grafana (their images cannot be had)"
}

# --- down and up again ------------------------------------------------------------------------------------------------

# Counts and hashes of the log: one line a shard.
verify_log() { compose run --rm --no-deps -T migrate verify --config /etc/assent/assent.toml; }

go_down() {
    local service code
    client explain --key first >"$work/explained" || return 1
    compose --progress plain stop "${SERVICES[@]}" || return 1
    for service in "${SERVICES[@]}"; do
        code=$(inspect "$service" '{{.State.ExitCode}}')
        [[ $code == 0 ]] || refuse "$service ended with $code" || return 1
    done
    note "the four services ended by SIGTERM with code 0"
    verify_log >"$work/log-before" && compose --progress plain --profile observability down || return 1
    cat "$work/log-before"
    [[ -z $(docker ps --all --quiet) ]] || refuse "containers are left" || return 1
    [[ $(docker volume ls --quiet --filter name=assent_postgres) == assent_postgres ]] || refuse "the volume is gone" || return 1
    note "no container left, volumes kept"
}

log_is_as_it_was() {
    compose --progress plain up --no-build --wait --wait-timeout "$UP_SECONDS" postgres && verify_log >"$work/log-after" || return 1
    diff "$work/log-before" "$work/log-after" || refuse "the log is not what it was" || return 1
    note "$(awk '/intact/ { events += $4 } END { print events }' "$work/log-after") events in $(grep -c intact "$work/log-after") shards, every hash as before"
}

come_up_again() {
    bring_up && client explain --key first >"$work/explained-again" || return 1
    diff "$work/explained" "$work/explained-again" || refuse "the first message is explained otherwise" || return 1
    note "the first message is explained word for word as before"
    message_is_read second
}

go_down_for_good() {
    compose --progress plain --profile observability down --volumes || return 1
    [[ -z $(docker ps --all --quiet)$(docker volume ls --quiet) ]] || refuse "containers or volumes are left" || return 1
    note "no container and no volume left"
}

show_what_is_kept() {
    say "kept until Ctrl-C; from another terminal, as root:"
    say "  export DOCKER_HOST=$DOCKER_HOST DOCKER_CONFIG=$DOCKER_CONFIG PATH=$engine_tools/engine/usr/bin:\$PATH; cd $copy; docker compose ps"
    say "  the ports: nsenter --net=/proc/$(cat "$work/namespace.pid")/ns/net curl http://127.0.0.1:9091/readyz"
}
