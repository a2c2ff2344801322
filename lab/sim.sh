#!/usr/bin/env bash
# make sim: the simulated world. Every invariant, and SEEDS (1,000) storms of each kind; then the breaches of lab/sim/, each of which it has to notice.
# SEED=n plays the storms of that seed again, and no more. Writes target/sim/result.json; fails if anything is violated, or a breach is not caught.
. "$(dirname "$0")/common.sh"

SIM=$TARGET/sim
TREE=$SIM/tree
STORMS=whatever_goes_wrong
TIMED=i3_ten_thousand
export SEEDS=${SEEDS:-1000}

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

# The tree as it stands, what is not committed included.
copy_tree() {
  rm -rf "$TREE" && mkdir -p "$TREE"
  # -m: new to cargo, whose last build may have been of a breach.
  git ls-files -coz --exclude-standard | tar --null -cT - | tar -xmC "$TREE"
}

# What the copy is built in: not target/, whose binary the live stack runs. What the crates of others were built to is linked, not built again.
share_dependencies() {
  rm -rf "$SIM/build" && mkdir -p "$SIM/build/debug"
  cp -al "$TARGET"/debug/{.fingerprint,build,deps} "$SIM/build/debug/"
}

# The copy lies within this repository, and is no part of it.
apply() { (cd "$TREE" && GIT_CEILING_DIRECTORIES=$SIM git apply "$@"); }

# noticed LOG: builds the copy, and names the first test that fails; no more than that need be waited for. A test of a time may
# fail on a busy machine without any breach, and is left out.
noticed() {
  cd "$TREE"
  export CARGO_TARGET_DIR=$SIM/build SEEDS=50
  cargo test --quiet --test it --no-run >"$1" 2>&1 || die "the breach does not build, see $1"
  { cargo test --test it -- invariants:: --skip "$TIMED" 2>&1 | tee -a "$1" || true; } |
    grep -m1 -oP '^test invariants::\K.*(?= \.\.\. FAILED$)'
}

cd "$ROOT"
mkdir -p "$SIM"
if [ -n "${SEED:-}" ]; then
  exec cargo test --quiet --test it -- "$STORMS" --nocapture
fi
# What an earlier run found is no result of this one.
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
  die "the world of this tree is not sound; see $SIM/world.log"
fi

copy_tree
share_dependencies
breaches=("$LAB"/sim/*.patch)
caught=0
for breach in "${breaches[@]}"; do
  begun=$SECONDS
  slug=$(basename "$breach" .patch)
  apply "$breach"
  if test=$(noticed "$SIM/$slug.log") && [ -n "$test" ]; then
    caught=$((caught + 1))
    printf 'caught  %4d s  %s\n                by %s\n' $((SECONDS - begun)) "$slug" "$test"
  else
    printf 'MISSED  %4d s  %s\n' $((SECONDS - begun)) "$slug"
  fi
  apply -R "$breach"
done
result "$SEEDS" "$found" ${#breaches[@]} $caught
say "$caught of ${#breaches[@]} breaches caught; all in $SECONDS s"
[ $caught = ${#breaches[@]} ] || die "the world does not notice every breach; logs are in $SIM"
