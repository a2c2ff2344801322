#!/usr/bin/env bash
# Files from Debian packages newer than this machine's, without installing them.
# usage: lab/debs.sh PACKAGE PATH...      prints where each PATH of the package was unpacked
. "$(dirname "$0")/common.sh"

SUITE=forky # its binaries have been seen to run on Debian 12
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
APT=$CACHE/apt
OUT=$CACHE/debs

# A separate apt with its own sources, state and cache. The machine's apt never sees this suite.
apt_options() {
  printf '%s\n' -o "Dir::Etc::sourcelist=$APT/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o "Dir::State=$APT/state" -o "Dir::State::status=$APT/status" -o "Dir::Cache=$APT/cache" \
    -o APT::Sandbox::User=root -o Acquire::Languages=none -o APT::Get::List-Cleanup=false
}

refresh_index() {
  local archive
  have apt-get && have dpkg-deb || die "this machine has no apt: set the image variables of lab/README.md instead"
  archive=$(debian_archive)
  [ -n "$archive" ] || die "no Debian archive in this machine's apt sources"
  mkdir -p "$APT/state/lists/partial" "$APT/cache/archives/partial"
  : >"$APT/status"
  printf 'deb [signed-by=%s] %s %s main\n' "$KEYRING" "$archive" "$SUITE" >"$APT/sources.list"
  local options
  mapfile -t options < <(apt_options)
  apt-get "${options[@]}" -qq update >&2 || die "the package index of $SUITE could not be read"
  touch "$APT/fresh"
}

package=${1:?usage: lab/debs.sh PACKAGE PATH...}
shift
dir=$OUT/$package
if [ ! -d "$dir" ]; then
  mkdir -p "$APT" "$OUT"
  exec 9>"$APT/lock"
  flock 9
  if [ ! -d "$dir" ]; then
    [ -n "$(find "$APT/fresh" -mmin -720 2>/dev/null)" ] || refresh_index
    mapfile -t options < <(apt_options)
    rm -rf "$APT/get" && mkdir "$APT/get"
    (cd "$APT/get" && apt-get "${options[@]}" -qq download "$package" >&2) || die "package $package could not be fetched"
    dpkg-deb -x "$APT"/get/*.deb "$dir.part"
    mv "$dir.part" "$dir"
  fi
  exec 9>&-
fi
for path in "$@"; do
  [ -e "$dir/$path" ] || die "package $package does not contain $path"
  printf '%s\n' "$dir/$path"
done
