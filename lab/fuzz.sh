#!/usr/bin/env bash
# make fuzz: hostile broker responses, request bodies and configurations. INPUTS=n: how many for each target; SEED=n: which ones; INPUT=n: only that one.
. "$(dirname "$0")/common.sh"

need_build_packages

cd "$ROOT"
export INPUTS=${INPUTS:-200000} SEED=${SEED:-1}
cargo test --quiet --test fuzz -- --nocapture
