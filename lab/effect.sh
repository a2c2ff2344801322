#!/usr/bin/env bash
# make effect: how long from the stored webhook until 16 threads are in force on three healthy brokers. The median of ten runs.
# Each run is for one cluster alert of the tests' own rule (it fires while a topic exists), under light load, and is taken back.
. "$(dirname "$0")/common.sh"
. "$LAB/stack.sh"
. "$LAB/api.sh"
stack live kafka-optimizer-test "${TEST_PORT_OFFSET:-11000}" test

ROUNDS=${ROUNDS:-10}
TOPIC=lab-tune-all
trap '"$LAB/test-stack.sh" down' EXIT
trap 'exit 130' INT TERM

ended() { RUN_JSON=$(run_json "$1") && [[ $(run_field "$RUN_JSON" .state) =~ ^(kept|rolled_back|stuck|cancelled)$ ]]; }
run_exists() { RUN=$(run_for cluster "$1") && [ -n "$RUN" ]; }
effective() { RUN_JSON=$(run_json "$1") && [ -n "$(run_time "$RUN_JSON" effective)" ]; }
# order PATH: what a person would ask of the optimizer.
order() {
  curl -sf -m 10 -o /dev/null -X POST -H 'content-type: application/json' -d '{}' \
    -H "authorization: Bearer $(cat "$STACK/secrets/webhook-token")" "$OPTIMIZER/api/v1/$1"
}
alert_gone() { [ -z "$(prom 'ALERTS{alertname="LabTuneAllBrokers"}')" ]; }

(cd "$ROOT" && cargo build --quiet)
"$LAB/test-stack.sh" up
kafka_tool 1 kafka-topics.sh --create --topic effect-load --partitions 6 --replication-factor 3 >/dev/null
load_start --kafka.server kafka-1:9092 --topic effect-load --partitions 6 --producers 6 --rate 100 \
  --record-bytes 200 --acks 1 --pinned --for 7200s >/dev/null
say "light load on three brokers for 45 s first: a run wants a full baseline"
sleep 45

: >"$STACK/effects"
for ((round = 1; round <= ROUNDS; round++)); do
  since=$(date +%s)
  kafka_tool 1 kafka-topics.sh --create --topic "$TOPIC" --partitions 1 --replication-factor 3 >/dev/null
  wait_until 120 "a run for the cluster" run_exists "$since"
  wait_until 120 "run $RUN to be in force" effective "$RUN"
  order "runs/$RUN/rollback" || die "run $RUN cannot be taken back"
  wait_until 300 "the end of run $RUN" ended "$RUN"
  effective=$(run_time "$RUN_JSON" effective)
  [ -n "$effective" ] || die "run $RUN changed nothing: $(run_field "$RUN_JSON" .state)"
  took=$(awk "BEGIN {printf \"%.3f\", $effective - $(run_time "$RUN_JSON" stored)}")
  printf 'run %s of %s: %.3f s, %s\n' "$round" "$ROUNDS" "$took" "$(run_field "$RUN_JSON" .state)"
  printf '%s\n' "$took" >>"$STACK/effects"
  [ "$(run_field "$RUN_JSON" .state)" = rolled_back ] || die "run $RUN was not taken back: the next one has nothing to do"
  kafka_tool 1 kafka-topics.sh --delete --topic "$TOPIC" >/dev/null
  wait_until 60 "the end of the alert" alert_gone
  # Until Alertmanager has said so too (its group_interval), a new firing is the same episode and starts nothing.
  sleep 12
  # Ten rollbacks in a row would quarantine the target, and each doubles its rest.
  order quarantine/release || die "the target cannot be released"
done
sort -n "$STACK/effects" | awk '{v[NR] = $1} END {printf "from stored webhook to in force on three brokers: median %.3f s of %d, %.3f to %.3f\n", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, NR, v[1], v[NR]}'
