#!/bin/sh
# Checks the files for Prometheus: syntax and lint of the configuration and the rules, the unit tests, and that every alert has
# tests and a runbook. Uses promtool from $PROMTOOL or PATH, 2.42 or newer.
set -eu
cd "$(dirname "$0")"
promtool=${PROMTOOL:-promtool}
failed=0
fail() { echo "FAILED: $*" >&2; failed=1; }

"$promtool" check config prometheus.yml
# With the linter's findings as errors; `check config` only warns.
"$promtool" check rules --lint=all --lint-fatal rules/*.yml >/dev/null
"$promtool" test rules tests/*.yml

# Lines "NAME has|without for" of all alerts, each name once.
alerts=$(awk '
  function flush() { if (name != "") print name, has; name = "" }
  /^ *- (alert|record):/ { flush() }
  /^ *- alert:/ { name = $3; has = "without" }
  /^ *for:/ { has = "has" }
  END { flush() }' rules/*.yml | sort -u)

# Lines "NAME FIRING SILENT": the number of checks that expect the alert to fire, and not to fire.
checks=$(awk '
  /^ *alertname:/ { name = $2 }
  /^ *exp_alerts: \[\]/ { silent[name]++; next }
  /^ *exp_alerts:/ { firing[name]++ }
  END { for (n in firing) print n, firing[n] + 0, silent[n] + 0
        for (n in silent) if (!(n in firing)) print n, 0, silent[n] }' tests/*.yml)

count=0
while read -r alert for_; do
  count=$((count + 1))
  # Firing at least once; silent while healthy, while pending and when resolved.
  case $alert,$for_ in
    KafkaWatchdog,*) silent=0 ;; # fires always
    *,without) silent=2 ;; # never pending
    *) silent=3 ;;
  esac
  echo "$checks" | awk -v a="$alert" -v s="$silent" '$1 == a && $2 >= 1 && $3 >= s { ok = 1 } END { exit !ok }' ||
    fail "$alert needs at least 1 test where it fires and $silent where it does not"

  runbook=../docs/runbooks/$alert.md
  if [ ! -f "$runbook" ]; then
    fail "$alert has no runbook $runbook"
    continue
  fi
  [ "$(head -n 1 "$runbook")" = "# $alert" ] || fail "$runbook must begin with '# $alert'"
  for heading in Meaning Impact Confirm "What the optimizer does" "Stop it" "By hand" Undo "When to page"; do
    grep -qx "## $heading" "$runbook" || fail "$runbook lacks the heading '## $heading'"
  done
  grep -hA 40 "alert: $alert\$" rules/*.yml | grep -q "runbook_url: .*/docs/runbooks/$alert.md\$" ||
    fail "$alert has no runbook_url that ends in /docs/runbooks/$alert.md"
done <<EOF
$alerts
EOF

for name in $(echo "$checks" | cut -d ' ' -f 1); do
  echo "$alerts" | grep -q "^$name " || fail "tests name the alert $name, which no rule has"
done

[ "$failed" = 0 ] && echo "$count alerts: all tested, all with a runbook."
exit "$failed"
