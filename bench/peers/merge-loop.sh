#!/bin/sh
# What a person would write: merge every branch, one after the other, in the checkout of main. merge-loop.sh <checkout> <branches> [<worktrees>]
# With a directory of worktrees (<worktrees>/<branch>) each is looked at first, and nothing may be uncommitted in it.
set -eu
cd "$1"
n=1
while [ "$n" -le "$2" ]; do
  if [ $# -gt 2 ]; then
    [ -z "$(git -C "$3/work-$n" status --porcelain)" ]
  fi
  git merge -q --no-ff --no-edit -m "Merge work-$n" "work-$n"
  n=$((n + 1))
done
