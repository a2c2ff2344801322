#!/usr/bin/env bash
# make proof: how often a verdict is wrong, and how often it sees an improvement, in simulated worlds whose truth is known; the procedure
# before this one beside it. Writes target/proof/result.json; fails if a limit is missed.
# target/proof/live.json, the runs on a real cluster that changed nothing, becomes part of the result if it is there.
# SMOKE=1: two worlds, in a minute. ONLY=queue,spell and CLUSTERS=n: a part, which is written to part.json beside it.
. "$(dirname "$0")/common.sh"

need_build_packages

cd "$ROOT"
if [ -n "${SMOKE:-}" ]; then
  exec cargo test --quiet --test proof -- --ignored --exact --nocapture proof::verdicts_are_right_in_two_worlds
fi

mkdir -p "$TARGET/proof"
export KAFKA_OPTIMIZER_PROOF_RESULT=$TARGET/proof/result.json
if [ -z "${ONLY:-}${CLUSTERS:-}" ]; then
  # If the build fails, an earlier run's result must not remain.
  printf '{"summary":{"worlds":null,"runs":null,"false_improved_max":null,"false_regressed_max":null,"power_minus_50":null,"power_minus_30":null,"live_false_improved":null,"live_runs":null},"worlds":[]}\n' \
    >"$KAFKA_OPTIMIZER_PROOF_RESULT.unfinished" && mv "$KAFKA_OPTIMIZER_PROOF_RESULT.unfinished" "$KAFKA_OPTIMIZER_PROOF_RESULT"
fi
cargo test --release --quiet --test proof -- --ignored --exact --nocapture \
  proof::verdicts_are_right_as_often_as_promised
