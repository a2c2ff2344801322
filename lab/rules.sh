#!/usr/bin/env bash
# make rules: what promtool and amtool say about the files written for Prometheus and Alertmanager, tests included.
. "$(dirname "$0")/common.sh"

PROMTOOL='' AMTOOL=''
eval "$("$LAB/tools.sh")"
export PROMTOOL AMTOOL
"$ROOT/prometheus/test.sh"
"$ROOT/alertmanager/test.sh"

# The rendered copies are what the demo and the live tests load: they must stay valid too.
for mode in demo test; do
  rendered=$TARGET/lab/rendered-$mode
  "$LAB/render.sh" "$rendered" "$mode"
  "$PROMTOOL" check config --syntax-only "$rendered/prometheus/prometheus.yml" >/dev/null
  "$PROMTOOL" check rules "$rendered"/prometheus/rules/*.yml >/dev/null
  "$AMTOOL" check-config "$rendered/alertmanager/alertmanager.yml" >/dev/null
  say "the rendered copy for $mode is valid"
done
