#!/usr/bin/env bash
# make scale: CPU, memory and requests of one round and one scrape at three sizes, up to 200,000 partitions and 10,000 groups.
# The release build reads fake brokers over real sockets. Writes target/scale/result.json; fails if a target is missed.
. "$(dirname "$0")/common.sh"

need_build_packages

mkdir -p "$TARGET/scale"
export KAFKA_OPTIMIZER_SCALE_RESULT=$TARGET/scale/result.json
export KAFKA_OPTIMIZER_SCALE_BINARY=$TARGET/release/kafka-optimizer
# If the build fails, an earlier run's result must not remain.
printf '[]\n' >"$KAFKA_OPTIMIZER_SCALE_RESULT.unfinished" && mv "$KAFKA_OPTIMIZER_SCALE_RESULT.unfinished" "$KAFKA_OPTIMIZER_SCALE_RESULT"

cd "$ROOT"
cargo build --release --quiet
cargo test --quiet --test measured -- --ignored --exact --nocapture scale::one_cycle_stays_cheap_at_every_size analyze::analyze_answers_in_two_seconds_on_ten_thousand_partitions
