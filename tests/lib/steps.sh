# Steps: one line each with its seconds, a log each, and the closing line. Sourced by tests/run.
# Descriptor 3 is where progress goes.

work=              # private directory of this run
logs=              # logs of this run, kept when something fails
step_pid=          # process group of the step that is running
failed_steps=()    # names of the steps that failed
tests_passed=0
tests_failed=0
closing_line=false # whether this run got as far as running tests

readonly HEARTBEAT_SECONDS=60
readonly TAIL_LINES=100
readonly FAILURE_LINES=600

make_work_directory() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/assent-tests.XXXXXX")
    logs=$work/logs
    # Postgres refuses to run as root, so another user has to be able to walk through; it cannot list.
    chmod 711 "$work"
    mkdir "$logs" "$work/tmp"
    chmod 1777 "$work/tmp"
    export TMPDIR=$work/tmp
    # Every process started from here on carries this mark: it is how one left behind is told from anybody else's.
    export ASSENT_TEST_RUN=$work
    export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
}

say() { printf '%s\n' "$*" >&3; }

report() { # name, outcome, seconds
    printf '%-26s %-7s %5d s\n' "$1" "$2" "$3" >&3
}

stop_run() {
    say "tests/run: $*"
    failed_steps+=("setup")
    exit 1
}

# Runs a command in its own process group, its output in a log. A failure is reported, remembered and returned; most
# callers go on (`|| true`), so that one run shows everything that is wrong.
step() { # name, command...
    local name=$1 log=$logs/${1// /-}.log started=$SECONDS beat=$HEARTBEAT_SECONDS status=0
    shift
    set -m
    "$@" >"$log" 2>&1 </dev/null 3>&- &
    step_pid=$!
    set +m
    while kill -0 "$step_pid" 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - started >= beat)); then
            say "  … $name, ${beat} s: $(tail -c 400 "$log" | tr '\r' '\n' | grep -v '^\s*$' | tail -n 1 | cut -c 1-140 || true)"
            beat=$((beat + HEARTBEAT_SECONDS))
        fi
    done
    wait "$step_pid" 2>/dev/null || status=$?
    step_pid=
    if ((status == 0)); then
        report "$name" ok $((SECONDS - started))
        return 0
    fi
    report "$name" FAILED $((SECONDS - started))
    failed_steps+=("$name")
    say "--- from $log"
    show_failure "$log" >&3
    say "---"
    return "$status"
}

# nextest repeats the output of what failed after its summary; other logs say it at their end.
show_failure() { # log
    local summary
    summary=$(grep -n -m 1 '^ *Summary \[' "$1" | cut -d : -f 1 || true)
    if [[ -n $summary ]]; then
        tail -n "+$summary" "$1" | head -n "$FAILURE_LINES"
    else
        tail -n "$TAIL_LINES" "$1"
    fi
}

# Adds up what cargo nextest and cargo test say in their summaries. A run that was cut short counts what it ran.
count_tests() { # log
    local ran passed failed
    closing_line=true
    while read -r ran passed; do
        tests_passed=$((tests_passed + passed))
        tests_failed=$((tests_failed + ran - passed))
    done < <(sed -nE 's|.*Summary \[[^]]*\] +([0-9]+)(/[0-9]+)? tests? run: ([0-9]+) passed.*|\1 \3|p' "$1")
    while read -r passed failed; do
        tests_passed=$((tests_passed + passed))
        tests_failed=$((tests_failed + failed))
    done < <(sed -nE 's|^test result: .* ([0-9]+) passed; ([0-9]+) failed;.*|\1 \2|p' "$1")
}

# Processes that carry this run's mark, apart from this script.
processes_left() {
    local entry pid
    for entry in /proc/[0-9]*; do
        pid=${entry#/proc/}
        if [[ $pid != "$$" && $pid != "$BASHPID" ]] &&
            tr '\0' '\n' 2>/dev/null <"$entry/environ" | grep -qxF "ASSENT_TEST_RUN=$work" 2>/dev/null; then
            echo "$pid"
        fi
    done 2>/dev/null
}

# Whoever was orphaned by a killed parent gets a moment to notice; then it is named, killed, and the run has failed.
clear_processes_left() {
    local deadline=$((SECONDS + 5)) left pid
    left=$(processes_left)
    while [[ -n $left ]] && ((SECONDS < deadline)); do
        sleep 0.2
        left=$(processes_left)
    done
    for pid in $left; do
        say "left behind: process $pid, $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c 1-120 || true)"
        kill -9 "$pid" 2>/dev/null || true
    done
    if [[ -n $left ]]; then failed_steps+=("processes left behind"); fi
}

stop_step() {
    if [[ -z $step_pid ]]; then return; fi
    kill -TERM -- "-$step_pid" 2>/dev/null || true
    wait "$step_pid" 2>/dev/null || true
    step_pid=
}

finish_run() { # exit status so far
    local status=$1 entry
    trap - EXIT
    trap '' INT TERM HUP
    set +e
    stop_step
    stop_servers
    clear_processes_left
    if ((${#failed_steps[@]} > 0 && status == 0)); then status=1; fi
    if ((status == 0 || status == 130 || status == 143)); then
        rm -rf "$work"
    else
        for entry in "$work"/*; do
            if [[ $entry != "$logs" ]]; then rm -rf "$entry"; fi
        done
        say "logs: $logs"
    fi
    if ((${#failed_steps[@]} > 0)); then say "failed: $(printf '%s, ' "${failed_steps[@]}" | sed 's/, $//')"; fi
    if $closing_line; then say "$tests_passed passed, $tests_failed failed"; fi
    exit "$status"
}
