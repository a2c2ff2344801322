#!/usr/bin/env bash
# make rules: what Prometheus and Alertmanager say about the files written for them, tests included.
. "$(dirname "$0")/common.sh"

PROMTOOL='' AMTOOL=''
eval "$("$LAB/tools.sh")"
export PROMTOOL AMTOOL
cd "$ROOT"
"$PROMTOOL" check config --syntax-only prometheus/prometheus.yml
"$PROMTOOL" check rules prometheus/rules/*.yml
"$AMTOOL" check-config alertmanager/alertmanager.yml
if [ -x prometheus/test.sh ]; then
  prometheus/test.sh
else
  "$PROMTOOL" test rules prometheus/tests/*.yml
fi
[ ! -x alertmanager/test.sh ] || alertmanager/test.sh

# The rendered copies are what the demo and the tests load: they must stay valid too.
for mode in demo test; do
  "$LAB/render.sh" "$TARGET/lab/rendered-$mode" "$mode"
  "$PROMTOOL" check rules "$TARGET/lab/rendered-$mode"/prometheus/rules/*.yml >/dev/null
  "$AMTOOL" check-config "$TARGET/lab/rendered-$mode/alertmanager/alertmanager.yml" >/dev/null
done
