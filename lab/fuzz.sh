#!/usr/bin/env bash
# make fuzz: hostile answers of brokers, bodies and configurations. INPUTS=n for each target, SEED=n which ones, INPUT=n one of them again.
. "$(dirname "$0")/common.sh"

cd "$ROOT"
export INPUTS=${INPUTS:-200000} SEED=${SEED:-1}
cargo test --quiet --test fuzz -- --nocapture
