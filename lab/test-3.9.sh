#!/usr/bin/env bash
# One node of Kafka 3.9 for the live tests: a project of its own beside lab/test-stack.sh.
# usage: lab/test-3.9.sh up|down      up writes target/live-3.9/env, which the live tests read
. "$(dirname "$0")/common.sh"
. "$LAB/stack.sh"
stack live-3.9 kafka-optimizer-test-3-9 "${TEST_PORT_OFFSET:-11000}" test
KAFKA_39_PORT=$((19095 + ${TEST_PORT_OFFSET:-11000}))

up() {
  local image
  "$LAB/engine.sh" up
  stack_gone
  rm -rf "$STACK" && mkdir -p "$STACK"
  image=$("$LAB/images.sh" kafka-3.9)
  printf '%s=%s\n' KAFKA_39_IMAGE "$image" KAFKA_39_PORT "$KAFKA_39_PORT" >"$STACK/compose.env"
  stack_compose "$LAB/compose.3.9.yml"
  compose --progress quiet up -d --wait --wait-timeout 120 >"$STACK/up.log" 2>&1 ||
    die "Kafka 3.9 did not start: $(compose logs --no-log-prefix --tail 5 kafka-39 2>&1)"
  printf 'KAFKA_OPTIMIZER_LIVE_39_%s=%s\n' BOOTSTRAP "127.0.0.1:$KAFKA_39_PORT" COMPOSE "$STACK/compose" >"$STACK/env.new"
  mv "$STACK/env.new" "$STACK/env"
  say "lab: Kafka 3.9 is up after $SECONDS s; addresses are in ${STACK#"$ROOT"/}/env"
}

case ${1:-} in
up) up ;;
down) stack_down ;;
*) die "usage: lab/test-3.9.sh up|down" ;;
esac
