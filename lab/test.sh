#!/usr/bin/env bash
# make test: all tests, including those on a live cluster. Prints how long each part took; fails if a part fails.
# It may run beside a demo, and leaves nothing behind but caches under target/.
. "$(dirname "$0")/common.sh"

LOGS=$TARGET/test
FAILED=()
cd "$ROOT"
mkdir -p "$LOGS"
ENGINE_BEFORE=$("$LAB/engine.sh" status)
export LAB_IMAGES_READY=yes

# part NAME COMMAND...: runs it with its output in a log, and says how long it took; on failure shows the panics and the end of the log.
part() {
  local name=$1 begun=$SECONDS
  shift
  if "$@" >"$LOGS/$name.log" 2>&1; then
    printf 'pass  %4d s  %s\n' $((SECONDS - begun)) "$name"
  else
    printf 'FAIL  %4d s  %s   (%s)\n' $((SECONDS - begun)) "$name" "${LOGS#"$ROOT"/}/$name.log"
    # The panic message comes before the backtrace, which may be longer than the end that is shown.
    { grep -A 8 ' panicked at ' "$LOGS/$name.log" | head -n 60 || true; tail -n 40 "$LOGS/$name.log"; } | sed 's/^/      | /'
    return 1
  fi
}
# beside NAME COMMAND...: the same in the background; its process id is in BESIDE for `wait`.
beside() {
  part "$@" &
  BESIDE=$!
}
failed() { FAILED+=("$1"); }

at_exit() {
  local code=$?
  trap - EXIT
  trap '' INT TERM # cleaning up is not interrupted
  end_jobs
  "$LAB/run.sh" live down || code=1
  "$LAB/run.sh" live-security down || code=1
  "$LAB/run.sh" live-3.9 down || code=1
  left_behind || code=1
  exit $code
}
trap at_exit EXIT
trap 'exit 130' INT TERM

# Fails if a container, network or volume of this run is left.
left_behind() {
  local left=''
  [ ! -d "$TARGET/live/slow" ] || rm -rf "$TARGET/live"
  if engine_runs; then
    left=$(for project in kafka-optimizer-test kafka-optimizer-test-3-9 kafka-optimizer-security; do
      for kind in 'ps -a' 'network ls' 'volume ls'; do
        # shellcheck disable=SC2086
        docker $kind -q --filter "label=com.docker.compose.project=$project"
      done
    done)
    [ "$ENGINE_BEFORE" != none ] || "$LAB/engine.sh" down
  fi
  [ -z "$left" ] || {
    say "left behind: $left" >&2
    return 1
  }
}

# --quiet: no progress bars in the log. It builds the tests too, so that later parts only run them.
build() { cargo build --quiet && cargo test --quiet --no-run; }
lints() {
  cargo fmt --check &&
    cargo clippy --quiet --all-targets -- -D warnings &&
    RUSTDOCFLAGS=-Dwarnings cargo doc --quiet --no-deps --document-private-items &&
    lab/counts.py &&
    lab/lint.sh
}
# What needs no cluster: `make unit`.
unit_and_world() { cargo test --quiet; }
live() {
  set -a
  # shellcheck disable=SC1091
  . "$TARGET/live/env" && . "$TARGET/live-security/env" && . "$TARGET/live-3.9/env"
  eval "$("$LAB/tools.sh")"
  set +a
  # The corner cases come last, because the optimizer does nothing for a minute after a broker was stopped.
  cargo test --test live -- --include-ignored --test-threads=1 --nocapture --skip corner:: &&
    cargo test --test live corner:: -- --include-ignored --test-threads=1 --nocapture
}

say "logs are in ${LOGS#"$ROOT"/}"
# Nothing runs beside these, because at a terminal they ask before they change the machine.
need_build_packages || failed packages
"$LAB/engine.sh" up && "$LAB/images.sh" packages || failed engine
beside images "$LAB/images.sh"
images_pid=$BESIDE
built=yes
part build build || {
  failed build
  built=no
}
have_images=yes
wait "$images_pid" || {
  failed images
  have_images=no
}
beside rules "$LAB/rules.sh"
rules_pid=$BESIDE
part lints lints || failed lints
wait "$rules_pid" || failed rules
if [ $built = yes ] && [ $have_images = yes ]; then
  beside stack "$LAB/run.sh" live up
  stack_pid=$BESIDE
  beside security-stack "$LAB/run.sh" live-security up
  security_pid=$BESIDE
  beside stack-3.9 "$LAB/run.sh" live-3.9 up
  stack_39_pid=$BESIDE
  part unit-and-world unit_and_world || failed unit-and-world
  part proof env SMOKE=1 lab/proof.sh || failed proof
  have_stacks=yes
  wait "$stack_pid" || {
    failed stack
    have_stacks=no
  }
  wait "$security_pid" || {
    failed security-stack
    have_stacks=no
  }
  wait "$stack_39_pid" || {
    failed stack-3.9
    have_stacks=no
  }
  # Nothing else runs now, because these tests measure times.
  [ $have_stacks = no ] || part live live || failed live
fi
[ ${#FAILED[@]} = 0 ] || die "failed after $SECONDS s: ${FAILED[*]}"
say "all tests passed in $SECONDS s"
