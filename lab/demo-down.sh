#!/usr/bin/env bash
# make demo-down: removes everything that make demo made: containers, networks, volumes, state, and the engine if it started it.
. "$(dirname "$0")/common.sh"
. "$LAB/stack.sh"
stack demo kafka-optimizer-demo 0 demo

if engine_runs; then
  stack_gone
  say "lab: the demo's containers, networks and volumes are gone"
  "$LAB/engine.sh" down
else
  say "lab: no Docker engine answers, so nothing of the demo runs"
fi
# What it measured stays.
find "$STACK" -mindepth 1 -maxdepth 1 ! -name result.json -exec rm -rf {} + 2>/dev/null || true
