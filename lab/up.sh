#!/usr/bin/env bash
# make up / make down: the stack with the windows as shipped, on the default ports, to look around in.
# It takes the demo's ports, so not both at once.
. "$(dirname "$0")/common.sh"
. "$LAB/stack.sh"
stack up kafka-optimizer 0 plain

case ${1:-} in
up)
  "$LAB/engine.sh" up
  mkdir -p "$STACK"
  "$LAB/images.sh"
  (cd "$ROOT" && cargo build)
  [ -x "$STACK/compose" ] && [ -n "$(docker ps -q --filter "label=com.docker.compose.project=$PROJECT")" ] && stack_gone
  stack_render "$("$LAB/images.sh" optimizer)"
  stack_up
  printf '  %-13s %s\n' Prometheus "$PROMETHEUS" Alertmanager "$ALERTMANAGER" optimizer "$OPTIMIZER" compose "$STACK/compose"
  if with_grafana; then printf '  %-13s %s\n' Grafana "$GRAFANA"; fi
  ;;
down)
  if engine_runs; then
    stack_gone
    "$LAB/engine.sh" down
  fi
  ;;
*) die "usage: lab/up.sh up|down" ;;
esac
