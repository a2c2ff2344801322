#!/usr/bin/env bash
# make storm: 10,000 alerts a minute for five minutes, each delivered by two Alertmanagers and resolved a minute later. MINUTES=n for less.
# The release build on loopback. Writes target/storm/result.json; fails if an alert is lost, p99 is 50 ms, or memory grows past 256 MiB.
. "$(dirname "$0")/common.sh"

need_build_packages

mkdir -p "$TARGET/storm"
export KAFKA_OPTIMIZER_STORM_RESULT=$TARGET/storm/result.json
export KAFKA_OPTIMIZER_STORM_BINARY=$TARGET/release/kafka-optimizer
# If the build fails, an earlier run's result must not remain.
printf '{"minutes":null,"alerts":null,"lost":null,"p50_ms":null,"p99_ms":null,"max_ms":null,"rss_peak_mb":null}\n' \
  >"$KAFKA_OPTIMIZER_STORM_RESULT.unfinished" && mv "$KAFKA_OPTIMIZER_STORM_RESULT.unfinished" "$KAFKA_OPTIMIZER_STORM_RESULT"

cd "$ROOT"
cargo build --release --quiet
cargo test --quiet --test measured -- --ignored --exact --nocapture storm::i2_i3_a_storm_of_alerts_is_stored_whole_and_answered_quickly
