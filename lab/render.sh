#!/usr/bin/env bash
# The same rules, routes and playbooks with other windows. Recorded names carry no window, so nothing else changes.
# usage: lab/render.sh OUT_DIR plain|demo|test|heal
. "$(dirname "$0")/common.sh"

out=${1:?usage: lab/render.sh OUT_DIR plain|demo|test|heal}
mode=${2:?usage: lab/render.sh OUT_DIR plain|demo|test|heal}

# window_table FILE SED_RULE...: rewrites a file in place, and fails where a rule found nothing to rewrite:
# a renamed key must not leave a demo with a window of minutes.
window_table() {
  local file=$1 rule
  shift
  for rule in "$@"; do
    sed -E "$rule" "$file" >"$file.new"
    ! cmp -s "$file" "$file.new" || die "$file: nothing matches $rule"
    mv "$file.new" "$file"
  done
}

shorten() {
  local rules
  window_table "$out/prometheus/prometheus.yml" \
    's/^( *scrape_interval:).*/\1 3s/' 's/^( *evaluation_interval:).*/\1 3s/'
  for rules in "$out"/prometheus/rules/*.yml; do
    sed -E -i -e 's/\[5m\]/[30s]/g' -e 's/offset 5m/offset 30s/g' -e 's/^( *for:) .*/\1 30s/' -e 's/^( *interval:) .*/\1 3s/' "$rules"
  done
  window_table "$out/prometheus/rules/recording.yml" 's/\[1h\] offset 10m/[5m] offset 1m/' 's/offset 70m/offset 6m/'
  # The lab's brokers share this machine's disk; how full it is says nothing of them, and would hold every run.
  window_table "$out/prometheus/rules/resources.yml" 's/(kafka:disk_usage:ratio >) 0\.85/\1 0.99/'
  window_table "$out/alertmanager/alertmanager.yml" \
    's/^( *group_wait:).*/\1 1s/' 's/^( *group_interval:).*/\1 10s/' 's/^( *timeout:).*/\1 8s/'
  window_table "$out/grafana/provisioning/datasources/datasources.yaml" 's/^( *timeInterval:).*/\1 3s/'
  window_table "$out/kafka-optimizer.yml" \
    's/^( *collect_interval:).*/\1 3s/' 's/(scrape_interval:) *[0-9a-z]+/\1 3s/' \
    's/^( *window:) .*/\1 30s/' 's/^( *baseline:) .*/\1 30s/' 's/^( *settle:) .*/\1 40s/' \
    's/^( *observe:) .*/\1 30s/' 's/^( *cooldown:) .*/\1 60s/' 's/\[30m\]/[1m]/'
  # The lab's brokers share this machine's CPU and disk with all else on it: their yellow is shown, and starts nothing.
  window_table "$out/kafka-optimizer.yml" 's/(alertname: KafkaClusterYellow, remediation:) tune-brokers/\1 not-in-the-lab/'
}

rm -rf "$out"
mkdir -p "$out"
cp -r "$ROOT/prometheus" "$ROOT/alertmanager" "$ROOT/grafana" "$out/"
cp "$LAB/kafka-optimizer.yml" "$out/"
case $mode in
plain) ;;
demo) shorten ;;
test)
  # What only the live tests need: an alert that a test fires by making a topic, the playbook that answers it, higher caps.
  cp "$LAB"/test/rules/*.yml "$out/prometheus/rules/"
  cat "$LAB/test/playbooks.yml" >>"$out/kafka-optimizer.yml"
  shorten
  window_table "$out/kafka-optimizer.yml" \
    's/^( *runs_per_hour_max:).*/\1 1000/' 's/^( *runs_per_day_max:).*/\1 1000/' 's/^( *cooldown:).*/\1 1s/' 's/^( *shrink_pause:).*/\1 1s/'
  ;;
heal)
  # Alerts, playbooks and windows of its own; the recording rules and the routes are the shipped ones.
  find "$out/prometheus/rules" -name '*.yml' ! -name recording.yml -delete
  cp "$LAB"/heal/rules/*.yml "$out/prometheus/rules/"
  cp "$LAB/heal/kafka-optimizer.yml" "$out/"
  window_table "$out/prometheus/rules/recording.yml" 's/\[5m\]/[15s]/g' 's/^( *interval:) .*/\1 2s/'
  window_table "$out/prometheus/prometheus.yml" \
    's/^( *scrape_interval:).*/\1 2s/' 's/^( *evaluation_interval:).*/\1 2s/' \
    's/"(alertmanager):9093"/"\1:9093", "\1-2:9093"/'
  # Soon told of an alert's end: the next scenario may begin with the same one.
  window_table "$out/alertmanager/alertmanager.yml" \
    's/^( *group_wait:).*/\1 1s/' 's/^( *group_interval:).*/\1 5s/' 's/^( *timeout:).*/\1 4s/'
  ;;
*) die "usage: lab/render.sh OUT_DIR plain|demo|test|heal" ;;
esac
# The images' users differ from ours.
chmod -R a+rX "$out"
