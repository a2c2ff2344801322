#!/usr/bin/env bash
# The stack of the live tests: a project of its own with ports of its own, so that it runs beside a demo.
# usage: lab/test-stack.sh up|down      up writes target/live/env, which the live tests read
. "$(dirname "$0")/common.sh"
. "$LAB/stack.sh"
# Below 32768: ports above may be taken at any moment by an outgoing connection of this machine.
stack live kafka-optimizer-test "${TEST_PORT_OFFSET:-11000}" test

up() {
  local before
  before=$("$LAB/engine.sh" status)
  "$LAB/engine.sh" up
  stack_gone
  rm -rf "$STACK" && mkdir -p "$STACK"
  # Only an engine that was started for this stack is stopped with it.
  [ "$before" != none ] || touch "$STACK/engine-started"
  [ -n "${LAB_IMAGES_READY:-}" ] || "$LAB/images.sh" # make test has built them before
  stack_render "${OPTIMIZER_IMAGE:-$("$LAB/images.sh" optimizer)}"
  stack_up
  write_env
}

# Addresses and paths, as KEY=VALUE lines.
write_env() {
  local tools image
  tools=$("$LAB/tools.sh")
  image=$(sed -n 's/^KAFKA_IMAGE=//p' "$STACK/compose.env")
  {
    printf 'KAFKA_OPTIMIZER_LIVE_%s=%s\n' \
      PROJECT "$PROJECT" NETWORK "${PROJECT}_default" COMPOSE "$STACK/compose" \
      BOOTSTRAP "127.0.0.1:$KAFKA_PORT_1,127.0.0.1:$KAFKA_PORT_2,127.0.0.1:$KAFKA_PORT_3" \
      PROMETHEUS "$PROMETHEUS" ALERTMANAGER "$ALERTMANAGER" OPTIMIZER "$OPTIMIZER" \
      CLUSTER main IMAGE "$image" TOKEN_FILE "$STACK/secrets/webhook-token" CONFIG "$STACK/config/kafka-optimizer.yml" CONFIG_DIR "$STACK/config"
    sed 's/^/KAFKA_OPTIMIZER_LIVE_/' <<<"$tools"
  } >"$STACK/env.new"
  mv "$STACK/env.new" "$STACK/env"
  say "lab: addresses are in ${STACK#"$ROOT"/}/env"
}

down() {
  if engine_runs; then
    stack_gone
    [ ! -e "$STACK/engine-started" ] || "$LAB/engine.sh" down
  fi
  rm -f "$STACK/env"
}

case ${1:-} in
up) up ;;
down) down ;;
*) die "usage: lab/test-stack.sh up|down" ;;
esac
