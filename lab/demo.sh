#!/usr/bin/env bash
# make demo: a real broker gets slow, an alert fires, the optimizer acts, clients get faster, and it is proven.
# Then a change that does not help is taken back exactly. Leaves the stack up; make demo-down removes it.
. "$(dirname "$0")/common.sh"
. "$LAB/stack.sh"
. "$LAB/api.sh"
stack demo kafka-optimizer-demo 0 demo

# Microseconds that each of a flush's two to four calls waits on the slow disk. Long against the CPU that a flush takes: on a
# busy machine, or with a JVM that still compiles, the CPU's share alone must not look like an effect.
ACT_ONE_US=2000
ACT_TWO_US=5000
# What the producers offer, all together. One that still waits for an answer leaves out its turn, so act 2 offers more: its
# queue must stay full.
ACT_ONE_RATE=400
ACT_TWO_RATE=800
BEGUN=$SECONDS
RESULT=$STACK/result.json
ACTS=()  # one JSON object an act, for result.json
LOADS=() # containers of load that run
ACT=''   # of the act that runs, what is known so far

# ---- the timeline, and what is kept of it

line() { printf '%4d s  %s\n' $((SECONDS - BEGUN)) "$*"; }
headline() { printf '\n%s\n' "$*"; }

act_set() { ACT=$(jq -c --arg key "$1" --argjson value "$2" '.[$key] = $value' <<<"$ACT"); }
act_begin() {
  ACT=$(jq -nc --arg name "$1" '{name: $name, alert: null, optimizer: null, verdict: null, outcome: null,
    alert_to_webhook_s: null, webhook_to_effective_s: null, fault_to_recovery_s: null}')
}
act_end() {
  ACTS+=("$ACT")
  ACT=''
}

at_exit() {
  local code=$? id
  trap '' INT TERM # cleaning up is not interrupted
  end_jobs
  # A failed act is in the result too, with what was known when it failed.
  [ -z "$ACT" ] || ACTS+=("$ACT")
  for id in "${LOADS[@]}"; do load_stop "$id"; done
  [ ! -d "$STACK/slow" ] || echo 0 >"$STACK/slow/us"
  mkdir -p "$STACK"
  printf '%s\n' "${ACTS[@]}" | jq -s '{acts: .}' >"$RESULT.new" && mv "$RESULT.new" "$RESULT"
  if [ $code != 0 ]; then
    printf '\nmake demo failed after %d s, the reason is above.\n' $((SECONDS - BEGUN)) >&2
    [ ! -x "$STACK/compose" ] || printf 'The stack is left as it is: %s logs, or make demo-down to remove it.\n' "$STACK/compose" >&2
  fi
  exit $code
}
trap at_exit EXIT
trap 'exit 130' INT TERM

# ---- steps, each with a limit of its own

# until_true SECONDS WHAT COMMAND...: like wait_until, and says now and then how far it is (PROGRESS: a command that tells).
until_true() {
  local limit=$1 what=$2 begun=$SECONDS told=$SECONDS
  shift 2
  until "$@"; do
    producers_run
    [ $((SECONDS - begun)) -lt "$limit" ] || die "$what did not happen within $limit s$(why)"
    if [ $((SECONDS - told)) -ge 12 ]; then
      line "  ... waiting for $what${PROGRESS:+: $($PROGRESS)}"
      told=$SECONDS
    fi
    sleep 1
  done
}

# How broker BROKER does, while its alert is awaited.
saturation() {
  local idle
  idle=$(prom "kafka:request_handler_idle:ratio{broker_id=\"$BROKER\"} * 100")
  printf 'handlers idle %.0f %%, produce %s, alert %s' "${idle:-0}" "$(ms "$(produce_ms "$BROKER")")" "$(alert_state KafkaRequestHandlersSaturated "$BROKER")"
}
await_alert() { # BROKER
  BROKER=$1 PROGRESS=saturation until_true 150 "KafkaRequestHandlersSaturated" fires KafkaRequestHandlersSaturated "$1"
  act_set alert '"KafkaRequestHandlersSaturated"'
  line "ALERT KafkaRequestHandlersSaturated fires for broker $1; mean produce time $(ms "$(produce_ms "$1")")"
}

# An act begins on a quiet cluster: alerts of a start or of the act before would be told as its own. A machine that is busy
# with other things may never be quiet, so this gives up and says so.
calm() {
  local begun=$SECONDS firing
  while firing=$(firing_on_brokers) && [ -n "$firing" ]; do
    [ $((SECONDS - begun)) -lt 60 ] || {
      line "still firing, going on all the same: ${firing//$'\n'/, }"
      return
    }
    sleep 1
  done
}

# Whatever may explain a step that did not happen.
why() {
  local runs
  runs=$(curl -sf -m 5 "$OPTIMIZER/api/v1/runs" | jq -c '[.runs[] | {id, state, target, hold, note, verdict}]' 2>/dev/null) || runs='the optimizer does not answer'
  printf '\n  runs: %s\n  the optimizer said last:\n%s' "$runs" "$(compose logs --no-log-prefix --tail 5 kafka-optimizer 2>&1 | sed 's/^/    /')"
}

# topic NAME LEADERS: one partition per leader, flushed at every record; flushing is what a slow disk makes slow.
topic() {
  kafka_tool 3 kafka-topics.sh --create --topic "$1" --replica-assignment "$2" \
    --config flush.messages=1 --config min.insync.replicas=1 >/dev/null
}

# produce BROKER TOPIC PARTITIONS PRODUCERS RATE: starts producers that run until stop_producing.
produce() {
  LOAD=$(load_start --kafka.server "kafka-$1:9092" --topic "$2" --partitions "$3" --producers "$4" --rate "$5" \
    --record-bytes 200 --acks 1 --pinned --for 900s) || die "the producers did not start: $(tail -n 3 "$STACK/up.log")"
  LOADS+=("$LOAD")
}
producers_run() {
  local id
  for id in "${LOADS[@]}"; do
    [ "$(docker inspect -f '{{.State.Running}}' "$id")" = true ] ||
      die "the producers ended: $(docker logs --tail 5 "$id" 2>&1)"
  done
}
stop_producing() {
  local id
  for id in "${LOADS[@]}"; do load_stop "$id"; done
  LOADS=()
}

flows() { [ -n "$(prom "kafka:produce_requests:rate{broker_id=\"$1\"} > 10")" ]; }
fires() { [ "$(alert_state "$1" "$2")" = firing ]; }
has_io_threads() { [ "$(io_threads "$1" | cut -d' ' -f1)" = "$2" ]; }
quiet() { [ "$(alert_state "$1" "$2")" = inactive ]; }
run_exists() { RUN=$(run_for "broker $1" "$2") && [ -n "$RUN" ]; }

# follow RUN LIMIT: prints each step and each change of state as it happens, until the run has ended. Sets RUN_JSON.
follow() {
  local limit=$2 begun=$SECONDS told='' state='' now steps
  while :; do
    RUN_JSON=$(run_json "$1") || die "the optimizer stopped answering$(why)"
    steps=$(run_steps "$RUN_JSON")
    while read -r now; do
      [ -z "$now" ] || grep -qxF "$now" <<<"$told" || line "  step $now"
    done <<<"$steps"
    told=$steps
    now="$(run_field "$RUN_JSON" .state)$(run_field "$RUN_JSON" '(if .hold then " (\(.hold): \(.note // ""))" else null end)')"
    [ "$now" = "$state" ] || line "  run $1: $now"
    state=$now
    case $state in kept | rolled_back) return ;; stuck | cancelled) die "run $1 ended as $state$(why)" ;; esac
    [ $((SECONDS - begun)) -lt "$limit" ] || die "run $1 did not end within $limit s, it is $state$(why)"
    sleep 0.7
  done
}

ms() { [ -n "${1:-}" ] && printf '%.0f ms' "$1" || printf 'unknown'; }

# note_run ALERT BROKER FAULT_AT: what the run and Prometheus know, into the act.
note_run() {
  local fired stored effective ended before recovered
  fired=$(fired_at "$1" "$2")
  stored=$(run_time "$RUN_JSON" stored)
  effective=$(run_time "$RUN_JSON" effective)
  ended=$(run_time "$RUN_JSON" ended)
  act_set alert "\"$1\""
  act_set optimizer "\"$(run_field "$RUN_JSON" .optimizer)\""
  act_set verdict "\"$(run_field "$RUN_JSON" .verdict)\""
  act_set outcome "\"$(run_field "$RUN_JSON" .state)\""
  [ -z "$fired" ] || [ -z "$stored" ] || act_set alert_to_webhook_s "$(awk "BEGIN {printf \"%.2f\", $stored - $fired}")"
  [ -z "$effective" ] || act_set webhook_to_effective_s "$(awk "BEGIN {printf \"%.2f\", $effective - $stored}")"
  before=$(run_field "$RUN_JSON" '.objective.baseline_median')
  # Recovered: a request takes less than a quarter of what it took when the alert came.
  if [ -n "$before" ] && [ -n "$effective" ] && [ "$(run_field "$RUN_JSON" .state)" = kept ]; then
    recovered=$(recovered_at "$2" "$effective" "${ended:-$(date +%s)}" "$(awk "BEGIN {print $before * 250}")")
    [ -z "$recovered" ] || act_set fault_to_recovery_s "$(awk "BEGIN {printf \"%.1f\", $recovered - $3}")"
  fi
}

# What a person wants to see of a run that has ended.
tell_run() {
  line "  $1: $(jq -r '"alert -> webhook \(.alert_to_webhook_s // "?") s, webhook -> effective \(.webhook_to_effective_s // "?") s"' <<<"$ACT")"
  line "  mean produce time $(ms "$(run_field "$RUN_JSON" '(.objective.baseline_median | if . then . * 1000 else null end)')") before," \
    "$(ms "$(run_field "$RUN_JSON" '(.objective.observed_median | if . then . * 1000 else null end)')") after:" \
    "$(run_field "$RUN_JSON" .verdict) -> $(run_field "$RUN_JSON" .state)"
}

# ---- the story

prepare() {
  headline "Preparing"
  "$LAB/engine.sh" up
  "$LAB/images.sh" packages
  stack_gone
  rm -rf "$STACK" && mkdir -p "$STACK"
  local images=''
  if [ -z "${OPTIMIZER_IMAGE:-}" ]; then
    line "building the optimizer beside the images"
    "$LAB/images.sh" >"$STACK/images.log" 2>&1 &
    images=$!
    (cd "$ROOT" && cargo build --quiet) || die "cargo build failed"
    wait "$images" || die "the images could not be built: $(tail -n 15 "$STACK/images.log")"
    OPTIMIZER_IMAGE=$("$LAB/images.sh" optimizer)
  else
    "$LAB/images.sh" >"$STACK/images.log" 2>&1 || die "the images could not be built: $(tail -n 15 "$STACK/images.log")"
  fi
  sed 's/^lab: /        /' "$STACK/images.log"
  stack_render "$OPTIMIZER_IMAGE"
  grep -q '^SLOW_DISK=.' "$STACK/compose.env" || {
    ACT_ONE_US=0 ACT_TWO_US=0 ACT_ONE_RATE=1600 ACT_TWO_RATE=3200
    line "the slow-disk shim does not load here: the real disk and more records take its place"
  }
  headline "Starting a controller, three brokers, Prometheus, Alertmanager and the optimizer"
  stack_up
}

warm_up() {
  headline "Warming up"
  topic demo-many "$(printf '1,%.0s' {1..23})1"
  topic demo-one 2
  # A cold JVM is slow by itself: that is not the fault to show.
  produce 1 demo-many 24 24 600
  produce 2 demo-one 1 32 600
  line "producing to brokers 1 and 2 for 25 s"
  sleep 25
  stop_producing
  until_true 60 "measurements of broker 1" flows 1
  calm
}

act_one() {
  local fault healthy
  act_begin "starved request handlers"
  headline "Act 1: broker 1 is left with one I/O thread, on a slow disk"
  echo $ACT_ONE_US >"$STACK/slow/us"
  produce 1 demo-many 24 24 "$ACT_ONE_RATE"
  line "24 producers send $ACT_ONE_RATE records/s to 24 partitions of broker 1, which has 8 I/O threads"
  sleep 20
  healthy=$(produce_ms 1)
  line "mean produce time $(ms "$healthy")"
  local threads
  for threads in 4 2 1; do
    until_true 30 "broker 1 with $threads I/O threads" set_io_threads 1 $threads
    line "set by hand: num.io.threads=$threads"
  done
  until_true 30 "one I/O thread in force on broker 1" has_io_threads 1 1
  fault=$(date +%s)
  await_alert 1
  until_true 60 "a run of the optimizer for broker 1" run_exists 1 "$fault"
  follow "$RUN" 240
  note_run KafkaRequestHandlersSaturated 1 "$fault"
  tell_run "broker 1"
  [ "$(run_field "$RUN_JSON" .state)" = kept ] || die "act 1 should be kept: $(run_field "$RUN_JSON" .verdict)$(why)"
  has_io_threads 1 16 || die "broker 1 should have 16 I/O threads, kafka-configs says: $(io_threads 1)"
  line "kafka-configs: broker 1 has num.io.threads=16"
  until_true 90 "the end of the alert" quiet KafkaRequestHandlersSaturated 1
  line "RESOLVED; mean produce time $(ms "$(produce_ms 1)")"
  stop_producing
  calm
  act_end
}

act_two() {
  local fault before after
  act_begin "threads that cannot help"
  headline "Act 2: 32 producers wait for the lock of ONE partition on broker 2; more threads cannot help"
  before="$(io_threads 2); $(changed_keys 2 | tr '\n' ' ')"
  echo $ACT_TWO_US >"$STACK/slow/us"
  fault=$(date +%s)
  produce 2 demo-one 1 32 "$ACT_TWO_RATE"
  line "32 producers send $ACT_TWO_RATE records/s to one partition; num.io.threads is ${before%%;*}"
  await_alert 2
  until_true 90 "a run of the optimizer for broker 2" run_exists 2 "$fault"
  follow "$RUN" 300
  note_run KafkaRequestHandlersSaturated 2 "$fault"
  tell_run "broker 2"
  [ "$(run_field "$RUN_JSON" .state)" = rolled_back ] || die "act 2 should be rolled back: $(run_field "$RUN_JSON" .verdict)$(why)"
  after="$(io_threads 2); $(changed_keys 2 | tr '\n' ' ')"
  [ "$before" = "$after" ] || die "broker 2 was '$before' before and is '$after' now"
  line "kafka-configs: broker 2 is back at num.io.threads=${after%%;*}, nothing else is set"
  stop_producing
  echo 0 >"$STACK/slow/us"
  act_end
}

farewell() {
  headline "Done in $((SECONDS - BEGUN)) s. The stack is left up; make demo-down removes it."
  printf '  %-13s %s\n' Prometheus "$PROMETHEUS" Alertmanager "$ALERTMANAGER" optimizer "$OPTIMIZER   (runs: $OPTIMIZER/api/v1/runs)"
  if with_grafana; then
    printf '  %-13s %s\n' Grafana "$GRAFANA"
  else
    say "  Grafana is left out: its image cannot be pulled here, and no package registry has it."
  fi
  printf '  %-13s %s\n' results "$RESULT" compose "$STACK/compose"
}

prepare
warm_up
act_one
act_two
farewell
