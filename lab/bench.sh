#!/usr/bin/env bash
# make bench: what this exporter and its peers cost on one real cluster, each held against the truth.
# make frozen: what each of them shows while a broker hangs.
# usage: lab/bench.sh cost|frozen      SIZES="S M" and ONLY=kafka-optimizer,klag-exporter choose a part of it
. "$(dirname "$0")/common.sh"
. "$LAB/stack.sh"

WHAT=${1:-}
case $WHAT in
cost) name=bench ;;
frozen) name=frozen ;;
*) die "usage: lab/bench.sh cost|frozen" ;;
esac
stack "$name" kafka-optimizer-bench "${BENCH_PORT_OFFSET:-12208}" plain # 31300, 31301, 31302
JMX_PORTS=($((KAFKA_PORT_1 + 10)) $((KAFKA_PORT_1 + 11)) $((KAFKA_PORT_1 + 12)))
export BENCH_FOLDER=$STACK BENCH_PEERS=$STACK/peers BENCH_PORT=$((KAFKA_PORT_1 + 20))
export BENCH_OPTIMIZER=${OPTIMIZER_BINARY:-$TARGET/release/kafka-optimizer}
export PYTHONDONTWRITEBYTECODE=1

measure() { python3 "$LAB/bench/$WHAT.py" "$@"; }

at_exit() {
  local code=$?
  trap '' INT TERM # cleaning up is not interrupted
  end_jobs
  ! engine_runs || stack_gone
  [ "$ENGINE_BEFORE" != none ] || "$LAB/engine.sh" down
  exit $code
}

# What compose reads: the images, our ports, no slow disk, and files that its other services name.
describe_stack() {
  mkdir -p "$STACK/slow"
  {
    cat "$TARGET/lab/images.env"
    printf '%s=%s\n' SLOW_DISK '' SLOW_DIR "$STACK/slow" BENCH_JMX "$LAB/bench/jmx" KAFKA_PORT_1 "$KAFKA_PORT_1" \
      KAFKA_PORT_2 "$KAFKA_PORT_2" KAFKA_PORT_3 "$KAFKA_PORT_3" JMX_PORT_1 "${JMX_PORTS[0]}" JMX_PORT_2 "${JMX_PORTS[1]}" JMX_PORT_3 "${JMX_PORTS[2]}"
  } >"$STACK/compose.env"
  stack_compose "$ROOT/docker-compose.yml" "$LAB/bench/compose.yml"
}

start_cluster() {
  stack_gone # what an interrupted run left
  describe_stack
  compose --progress quiet up -d --no-build --wait --wait-timeout 180 controller-1 kafka-1 kafka-2 kafka-3 >"$STACK/up.log" 2>&1 ||
    die "compose could not start the brokers: $(tail -n 3 "$STACK/up.log")"
  BENCH_CONTAINERS=$(for broker in 1 2 3; do compose ps -q "kafka-$broker"; done | paste -sd' ')
  export BENCH_CONTAINERS BENCH_JMX_PORTS="${JMX_PORTS[*]}"
  export BENCH_BOOTSTRAP=127.0.0.1:$KAFKA_PORT_1,127.0.0.1:$KAFKA_PORT_2,127.0.0.1:$KAFKA_PORT_3
}

mkdir -p "$STACK"
exec 9>"$TARGET/bench-cluster.lock"
flock -n 9 || die "another make bench or make frozen runs here"
need_commands python3:python3
measure none "the run ended before anything was measured" # so that a run that fails has said so
ENGINE_BEFORE=$("$LAB/engine.sh" status)
trap at_exit EXIT
trap 'exit 130' INT TERM

"$LAB/engine.sh" up
"$LAB/images.sh"
BENCH_LIBS=$("$LAB/images.sh" jars)
export BENCH_LIBS
"$LAB/bench/peers.sh" "$BENCH_PEERS"
[ -n "${OPTIMIZER_BINARY:-}" ] || (cd "$ROOT" && say "building this exporter" && cargo build --quiet --release)
start_cluster
measure
