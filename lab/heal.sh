#!/usr/bin/env bash
# make heal: faults on a real cluster, each held against what the optimizer promises. lab/heal/ holds the scenarios.
# usage: lab/heal.sh      ONLY=leaders,flood chooses a part; ONLY=consumers both of that name
. "$(dirname "$0")/common.sh"
. "$LAB/stack.sh"
# 31592 to 31594, 21590, 21593, 21808, 15500: no other script's, and below 32768.
stack heal kafka-optimizer-heal "${HEAL_PORT_OFFSET:-12500}" heal
export PYTHONDONTWRITEBYTECODE=1

play() { python3 "$LAB/heal/heal.py" "$@"; }

at_exit() {
  local code=$?
  trap '' INT TERM # cleaning up is not interrupted
  end_jobs
  if engine_runs && [ -x "$STACK/compose" ]; then
    [ $code = 0 ] || compose logs --no-color kafka-optimizer >"$STACK/optimizer.log" 2>&1 || true
    # KEEP: to look around in after a failure.
    [ -n "${KEEP:-}" ] || stack_gone
  fi
  [ "$ENGINE_BEFORE" != none ] || [ -n "${KEEP:-}" ] || "$LAB/engine.sh" down
  exit $code
}

prepare() {
  "$LAB/engine.sh" up
  "$LAB/images.sh" packages
  stack_gone # what an interrupted run left
  "$LAB/images.sh"
  HEAL_LIBS=$("$LAB/images.sh" jars)
  if [ -z "${OPTIMIZER_IMAGE:-}" ]; then
    (cd "$ROOT" && say "building the optimizer" && cargo build --quiet)
    OPTIMIZER_IMAGE=$("$LAB/images.sh" optimizer)
  fi
  # For the containers' Java too, which may be older than this machine's.
  javac --release 17 -cp "$HEAL_LIBS/*" -d "$STACK/classes" "$LAB"/heal/*.java
}

describe_stack() {
  stack_render "$OPTIMIZER_IMAGE"
  printf 'HEAL_CLASSES=%s\n' "$STACK/classes" >>"$STACK/compose.env"
  stack_compose "$ROOT/docker-compose.yml" "$LAB/heal/compose.yml"
  export HEAL_LIBS HEAL_FOLDER=$STACK HEAL_SERVERS=127.0.0.1:$KAFKA_PORT_1,127.0.0.1:$KAFKA_PORT_2,127.0.0.1:$KAFKA_PORT_3
}

mkdir -p "$TARGET"
exec 9>"$TARGET/heal.lock"
flock -n 9 || die "another make heal runs here"
need_commands python3:python3
rm -rf "$STACK" && mkdir -p "$STACK"
export HEAL_FOLDER=$STACK
# A result of an earlier day must not pass for that of a run which fails before its first scenario.
play none
ENGINE_BEFORE=$("$LAB/engine.sh" status)
trap at_exit EXIT
trap 'exit 130' INT TERM

prepare
describe_stack
say "starting a controller, three brokers, Prometheus, Alertmanager and the optimizer"
stack_up
play
