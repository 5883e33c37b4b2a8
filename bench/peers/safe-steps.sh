#!/bin/sh
# The same safe steps as one landing takes, in the same order and under the same overrides (they are in the environment), for every
# repository of a directory: <dir>/<n>/project is the checkout of main, <dir>/<n>/agent the worktree of branch work, <dir>/<n>/origin.git
# the remote. Ends at the first thing that is not as it should be.
set -eu
stamp=20260504-100000
for place in "$1"/*/; do
  place=${place%/}
  GIT_DIR=$place/project/.git
  export GIT_DIR
  origin=$place/origin.git
  git config --list --show-scope -z >/dev/null
  refs=$(git for-each-ref --format='%(objectname) %(tree) %(refname) %(symref)' refs/heads refs/remotes refs/orchestrator)
  old=$(echo "$refs" | while read -r oid tree name rest; do [ "$name" = refs/heads/main ] && echo "$oid" && break; done)
  oldtree=$(echo "$refs" | while read -r oid tree name rest; do [ "$name" = refs/heads/main ] && echo "$tree" && break; done)
  head=$(echo "$refs" | while read -r oid tree name rest; do [ "$name" = refs/heads/work ] && echo "$oid" && break; done)
  remote=$(git ls-remote --upload-pack=git-upload-pack "$origin" 'refs/heads/*' 'refs/tags/integration-*')
  [ "${remote%%	*}" = "$old" ]
  dirt=$(GIT_DIR=$GIT_DIR/worktrees/agent GIT_WORK_TREE=$place/agent git status --porcelain=v2 -z --untracked-files=all --ignore-submodules=dirty --no-renames)
  [ -z "$dirt" ]
  tree=$(cd "$place/project" && git merge-tree --write-tree --name-only --no-messages "$old" "$head")
  git diff-tree -r --raw --no-renames --no-abbrev "$oldtree" "$tree" >/dev/null
  commit=$(git commit-tree "$tree" -p "$old" -p "$head" -m "Merge integration from agent: work")
  tag=$(printf 'object %s\ntype commit\ntag integration-%s-p1\ntagger Bench <bench@example.com> 1777888800 +0000\n\nwork\n' "$commit" "$stamp" | git mktag)
  printf 'start\nverify refs/heads/main %s\ncreate refs/heads/backup-before-merge-%s-p1 %s\ncreate refs/orchestrator/pending/1 %s\nprepare\ncommit\n' \
    "$old" "$stamp" "$old" "$commit" | git update-ref --stdin >/dev/null
  (cd "$place/project" && GIT_WORK_TREE=$place/project GIT_OPTIONAL_LOCKS=1 git merge --ff-only --no-overwrite-ignore --no-stat -q "$commit")
  printf 'start\nverify refs/heads/main %s\ncreate refs/tags/integration-%s-p1 %s\ncreate refs/orchestrator/landed/1 %s\ndelete refs/orchestrator/pending/1 %s\nprepare\ncommit\n' \
    "$commit" "$stamp" "$tag" "$commit" "$commit" | git update-ref --stdin >/dev/null
  git push --porcelain --atomic --no-verify --receive-pack=git-receive-pack "$origin" "$commit:refs/heads/main" "$tag:refs/tags/integration-$stamp-p1" >/dev/null 2>&1
  git update-ref refs/remotes/origin/main "$commit" "$old"
done
