#!/usr/bin/env bash
# make sim: the simulated world. Every invariant, and SEEDS (1,000) storms of each kind; then each deliberate breach of
# src/remediation/breach.rs, which the world has to detect.
# SEED=n replays the storms of that seed, and nothing else. Writes target/sim/result.json; fails if anything is violated, or a breach
# is not detected.
# usage: lab/sim.sh [list]       list prints the names of the breaches
. "$(dirname "$0")/common.sh"

need_build_packages

SIM=$TARGET/sim
STORMS=whatever_goes_wrong
TIMED=i3_ten_thousand
export SEEDS=${SEEDS:-1000}

# The variants of the enum `Breach`.
breaches() { sed -nE 's/^    ([A-Z][A-Za-z0-9]+),$/\1/p' "$ROOT/src/remediation/breach.rs"; }

# result SEEDS VIOLATIONS BREACHES CAUGHT
result() {
  printf '{"seeds":%s,"violations":%s,"breaches":%s,"breaches_caught":%s}\n' "$@" >"$SIM/result.unfinished"
  mv "$SIM/result.unfinished" "$SIM/result.json"
}

# Of a log: seeds whose storm found something, and other tests that failed.
violations() {
  awk -v storms="$STORMS" '
    /^[0-9]+ seeds, [0-9]+ violated$/ { found += $3 }
    /^test .* FAILED$/ && $0 !~ storms { found += 1 }
    END { print found + 0 }' "$1"
}

# with_breaches COMMAND...: with a build that has the breaches. It is not in target/debug, whose binary the live stack runs. The
# wrapper compiles only this crate; the dependencies are linked from target/debug instead of built again.
with_breaches() { RUSTC_WORKSPACE_WRAPPER=$LAB/sim/rustc.sh CARGO_TARGET_DIR=$SIM/build "$@"; }
build_breaches() {
  rm -rf "$SIM/build" && mkdir -p "$SIM/build/debug"
  cp -al "$TARGET"/debug/{.fingerprint,build,deps} "$SIM/build/debug/"
  with_breaches cargo test --quiet --test it --no-run
}

# detected BREACH LOG: plays the breach, and prints the first test that fails; the others need not be waited for. A test that measures
# time may fail on a busy machine without any breach, and is left out.
detected() {
  { BREACH=$1 SEEDS=50 with_breaches cargo test --test it -- invariants:: --skip "$TIMED" 2>&1 | tee "$2" || true; } |
    grep -m1 -oP '^test invariants::\K.*(?= \.\.\. FAILED$)'
}

if [ "${1:-}" = list ]; then
  breaches
  exit
fi
cd "$ROOT"
mkdir -p "$SIM"
if [ -n "${SEED:-}" ]; then
  exec cargo test --quiet --test it -- "$STORMS" --nocapture
fi
# The result of an earlier run is not a result of this one.
result null null null null
cargo test --quiet --test it --no-run

say "every invariant, and $SEEDS storms of each kind"
begun=$SECONDS
failed=yes
cargo test --test it -- invariants:: --show-output >"$SIM/world.log" 2>&1 && failed=no
found=$(violations "$SIM/world.log")
say "$found violations in $((SECONDS - begun)) s"
if [ "$failed" = yes ] || ! grep -q "^$SEEDS seeds, 0 violated$" "$SIM/world.log"; then
  result "$SEEDS" "$found" null null
  die "the simulated world found a violation; see $SIM/world.log"
fi

build_breaches || die "the build with breaches failed"
played=0
caught=0
for breach in $(breaches); do
  begun=$SECONDS
  played=$((played + 1))
  if test=$(detected "$breach" "$SIM/$breach.log") && [ -n "$test" ]; then
    caught=$((caught + 1))
    printf 'caught  %4d s  %s\n                by %s\n' $((SECONDS - begun)) "$breach" "$test"
  else
    printf 'MISSED  %4d s  %s\n' $((SECONDS - begun)) "$breach"
  fi
done
result "$SEEDS" "$found" "$played" "$caught"
say "$caught of $played breaches caught; all in $SECONDS s"
[ "$caught" = "$played" ] || die "the simulated world does not detect every breach; logs are in $SIM"
