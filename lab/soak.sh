#!/usr/bin/env bash
# make soak: 5,760 rounds while topics, groups and brokers come and go; nothing may leak. SEED=n chooses what happens, ROUNDS=n how long.
# Writes target/soak/result.json; fails if memory, descriptors or series grow.
. "$(dirname "$0")/common.sh"

need_build_packages

mkdir -p "$TARGET/soak"
export KAFKA_OPTIMIZER_SOAK_RESULT=$TARGET/soak/result.json
# If the build fails, an earlier run's result must not remain.
printf '{"rounds":null,"rss_slope_mb_per_1000_rounds":null,"fds_start":null,"fds_end":null,"series_leaked":null}\n' \
  >"$KAFKA_OPTIMIZER_SOAK_RESULT.unfinished" && mv "$KAFKA_OPTIMIZER_SOAK_RESULT.unfinished" "$KAFKA_OPTIMIZER_SOAK_RESULT"

cd "$ROOT"
cargo test --quiet --test measured -- --ignored --exact --nocapture soak::a_day_of_rounds_leaves_nothing_behind
