# shellcheck shell=bash
# What Prometheus, the optimizer and Kafka say: the only place that knows their answers' shape. Sourced after stack.sh.
# ---- Prometheus

# prom QUERY: the value of the first series, or nothing.
prom() {
  curl -sf -m 5 "$PROMETHEUS/api/v1/query" --data-urlencode "query=$1" | jq -r '.data.result[0].value[1] // empty'
}
produce_ms() { prom "kafka:produce_time:mean_seconds{kafka_cluster=\"main\",broker_id=\"$1\"} * 1000"; }

# alert_state ALERT BROKER: inactive, pending or firing.
alert_state() {
  curl -sf -m 5 "$PROMETHEUS/api/v1/alerts" | jq -r --arg name "$1" --arg broker "$2" \
    '[.data.alerts[] | select(.labels.alertname == $name and .labels.broker_id == $broker) | .state] |
     if any(. == "firing") then "firing" elif any(. == "pending") then "pending" else "inactive" end'
}

# firing_on_brokers: the alerts that fire and name a broker, "NAME broker N" a line.
firing_on_brokers() {
  curl -sf -m 5 "$PROMETHEUS/api/v1/alerts" | jq -r \
    '[.data.alerts[] | select(.state == "firing" and .labels.broker_id) | "\(.labels.alertname) broker \(.labels.broker_id)"] | unique[]'
}

# fired_at ALERT BROKER: when it fired first in the last minutes, in Unix seconds.
fired_at() {
  prom "min(min_over_time(timestamp(ALERTS{alertname=\"$1\",broker_id=\"$2\",alertstate=\"firing\"})[10m:1s]))"
}

# recovered_at BROKER FROM TO LIMIT_MS: the first moment after FROM at which the mean produce time was below the limit.
recovered_at() {
  curl -sf -m 5 "$PROMETHEUS/api/v1/query_range" --data-urlencode "start=$2" --data-urlencode "end=$3" --data-urlencode step=1 \
    --data-urlencode "query=kafka:produce_time:mean_seconds{kafka_cluster=\"main\",broker_id=\"$1\"} * 1000 < $4" |
    jq -r '.data.result[0].values[0][0] // empty'
}

# ---- the optimizer

# run_for TARGET SINCE: the id of the newest run for that target ("broker 1", "cluster") made after SINCE (Unix seconds), or nothing.
run_for() {
  curl -sf -m 5 "$OPTIMIZER/api/v1/runs" | jq -r --arg target "$1" --argjson since "$2" "$RFC3339"'
    [.runs[] | select(.target == $target and (.created_at | seconds) >= $since)] | max_by(.id) | .id // empty'
}
run_json() { curl -sf -m 5 "$OPTIMIZER/api/v1/runs/$1"; }

# RFC 3339 with or without a fraction to seconds.
RFC3339='def seconds: capture("^(?<whole>[^.Z+]+)(?<fraction>[.][0-9]+)?") |
  ((.whole + "Z") | fromdateiso8601) + ((.fraction // "0") | if startswith(".") then "0" + . else . end | tonumber);'
run_field() { jq -r "$RFC3339 $2 // empty" <<<"$1"; }
# run_steps RUN_JSON: each step that is in force or undone, in words, one a line.
run_steps() {
  jq -r '.steps[] | if .state == "applied" then "broker \(.broker): \(.key) \(.from) -> \(.to)"
    elif .state == "undone" then "broker \(.broker): \(.key) back from \(.to) to \(.from)" else empty end' <<<"$1"
}

# run_time RUN_JSON stored|effective|ended: when the alert was stored, the last step in force, the run over; in Unix seconds.
run_time() {
  local field=$2_at
  [ "$2" != stored ] || field=created_at
  run_field "$1" "(.$field | if . then seconds else null end)"
}

# ---- Kafka

# io_threads BROKER: the value in force and where it comes from, in Kafka's own words.
io_threads() {
  kafka_tool "$1" kafka-configs.sh --entity-type brokers --entity-name "$1" --describe --all |
    sed -nE 's/^ *num\.io\.threads=([0-9]+) .*synonyms=\{([A-Z_]+):.*/\1 \2/p'
}
# changed_keys BROKER: what is set dynamically on the broker, one KEY=VALUE a line.
changed_keys() {
  kafka_tool "$1" kafka-configs.sh --entity-type brokers --entity-name "$1" --describe |
    sed -nE 's/^ *([a-z.]+=[^ ]+) .*/\1/p' | sort
}

# set_io_threads BROKER VALUE: fails while an earlier change is not in force yet, for then the step is too large.
set_io_threads() {
  kafka_tool "$1" kafka-configs.sh --entity-type brokers --entity-name "$1" --alter --add-config "num.io.threads=$2" >/dev/null 2>&1
}
