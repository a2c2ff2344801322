#!/usr/bin/env bash
# make rules: promtool and amtool check the files that Prometheus and Alertmanager read, and run their tests.
. "$(dirname "$0")/common.sh"

PROMTOOL='' AMTOOL=''
eval "$("$LAB/tools.sh")"
export PROMTOOL AMTOOL
"$ROOT/prometheus/test.sh"
"$ROOT/alertmanager/test.sh"

# The demo and the live tests load rendered copies, which have to be valid too.
for mode in demo test; do
  rendered=$TARGET/lab/rendered-$mode
  "$LAB/run.sh" render "$rendered" "$mode"
  "$PROMTOOL" check config --syntax-only "$rendered/prometheus/prometheus.yml" >/dev/null
  "$PROMTOOL" check rules "$rendered"/prometheus/rules/*.yml >/dev/null
  "$AMTOOL" check-config "$rendered/alertmanager/alertmanager.yml" >/dev/null
  say "the rendered copy for $mode is valid"
done
