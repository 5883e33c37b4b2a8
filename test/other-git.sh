#!/bin/sh
# Runs tests with the git of another Debian release, by default trixie's, and those tests that depend most on git:
#   npm run test:git
#   npm run test:git -- sid test/hostile
# The release is unpacked once, with mmdebstrap, into the cache directory; this tree is mounted into it, so that git, the shell and the C
# library are the release's, and Node is ours. Nothing of the host changes, but that mmdebstrap is installed.
set -eu
[ "$(id -u)" = 0 ] || { echo "test/other-git.sh needs root, for a namespace and chroot" >&2; exit 2; }
release=${1:-trixie}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- test/hostile test/landing
here=$(cd "$(dirname "$0")/.." && pwd -P)
root=${XDG_CACHE_HOME:-$HOME/.cache}/orchestrator-merge/debian-$release

if [ ! -e "$root/usr/bin/git" ]; then
  export DEBIAN_FRONTEND=noninteractive
  if ! command -v mmdebstrap >/dev/null && ! apt-get install -y -q mmdebstrap; then
    apt-get update -q
    apt-get install -y -q mmdebstrap
  fi
  rm -rf "$root" "$root.new"
  mkdir -p "$root.new"
  # With the settings of this host's apt: its proxy, and whether a mirror that lags is good enough.
  apt-config dump Acquire >"$root.apt"
  # libstdc++6 is for Node; bsdutils has script(1), with which a canary gets its terminal.
  mmdebstrap --variant=essential --include=git,openssh-client,bsdutils,libstdc++6 --aptopt="$root.apt" \
    --aptopt='APT::Install-Recommends "false"' "$release" "$root.new" http://deb.debian.org/debian
  mv "$root.new" "$root"
fi

export root here
exec unshare --mount --fork --kill-child sh -euc '
  mount --make-rprivate /
  for each in proc sys dev; do mount --rbind "/$each" "$root/$each"; done
  for each in "$here" "$(realpath "$here/node_modules")"; do
    mkdir -p "$root$each"
    mount --rbind "$each" "$root$each"
  done
  export PATH="$(realpath "$here/node_modules")/node-linux-$(uname -m | sed "s/x86_64/x64/; s/aarch64/arm64/")/bin:/usr/sbin:/usr/bin:/sbin:/bin"
  unset TMPDIR
  exec chroot "$root" env -C "$here" sh -euc "git --version; exec node build.mjs --run vitest run \"\$@\"" sh "$@"
' sh "$@"
