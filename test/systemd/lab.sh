#!/bin/bash
# A real `systemd --user` with its journal, for a user that exists nowhere else, on a host whose PID 1 may be anything. Needs root.
# Nothing of the host changes: mounts and processes are in namespaces of their own, what is written to are empty file systems, /etc
# is a copy, and the control groups are one throw-away subtree (a hierarchy each with cgroup v1), removed at the end.
#
# Prints "unshare PID" (its first child is PID 1 of the namespaces), "ready" when the manager answers, and ends when stdin does.
set -u
user=labuser id=4242 groups=/sys/fs/cgroup

if [ -z "${LAB_TAG:-}" ]; then # outside
  export LAB_TAG=orchestrator-merge-lab.$$
  if [ -f $groups/cgroup.controllers ]; then LAB_ROOTS=$groups; else
    LAB_ROOTS=
    for each in systemd unified memory pids cpu cpuacct cpu,cpuacct; do
      [ -d "$groups/$each" ] && [ ! -L "$groups/$each" ] && LAB_ROOTS+=" $groups/$each"
    done
  fi
  export LAB_ROOTS
  delegate() {
    [ -f "$1/cgroup.controllers" ] || return 0
    for controller in cpu memory pids; do echo "+$controller" >"$1/cgroup.subtree_control"; done 2>/dev/null
  }
  remove_groups() {
    for root in $LAB_ROOTS; do
      for try in 1 2 3 4 5 6 7 8 9 10; do
        [ -d "$root/$LAB_TAG" ] || break
        find "$root/$LAB_TAG" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
      done
    done
  }
  trap remove_groups EXIT
  trap 'exit 143' INT TERM HUP
  for root in $LAB_ROOTS; do
    manager=$root/$LAB_TAG/user.slice/user-$id.slice/user@$id.service
    mkdir -p "$manager" "$root/$LAB_TAG/init.scope"
    for each in "$root" "$root/$LAB_TAG" "$root/$LAB_TAG/user.slice" "$root/$LAB_TAG/user.slice/user-$id.slice"; do delegate "$each"; done
    chown -R $id:$id "$manager"
  done
  unshare --mount --pid --fork --mount-proc --kill-child bash "$0" <&0 &
  echo "unshare $!"
  wait $!
  exit $?
fi

# inside, as PID 1
join() { for root in $LAB_ROOTS; do echo $BASHPID >"$root/$LAB_TAG/$1/cgroup.procs"; done; }
wait_for() {
  for ((n = 0; n < 200; n++)); do eval "$1" && return 0; sleep 0.05; done
  echo "gave up waiting: $1" >&2
  cat /run/lab/*.out >&2
  exit 3
}
mount --make-rprivate /
for each in /run /home /var/log /var/lib/systemd; do mount -t tmpfs -o mode=755 tmpfs $each; done
# All of /etc and not its files one by one: a mount on a file is gone when somebody on the host puts another in its place.
mkdir /run/lab
cp -a /etc /run/lab/etc
mount --bind /run/lab/etc /etc
echo "$user:x:$id:$id::/home/$user:/bin/bash" >>/etc/passwd
echo "$user:x:$id:" >>/etc/group
# An image has none before its first boot, and the journal needs one.
grep -qsx '[0-9a-f]\{32\}' /etc/machine-id || echo 0123456789abcdef0123456789abcdef >/etc/machine-id
mkdir -p /run/lock /run/dbus /run/systemd/{system,journal,users,seats,sessions} /var/lib/systemd/linger /run/systemd/journald.conf.d /run/user/$id /home/$user "/var/log/journal/$(cat /etc/machine-id)"
touch /run/systemd/journal/flushed # so that the user has a journal of their own to read
printf '[Journal]\nRateLimitBurst=0\n' >/run/systemd/journald.conf.d/lab.conf
chown $id:$id /run/user/$id /home/$user
chmod 700 /run/user/$id
join init.scope
/lib/systemd/systemd-journald >/run/lab/journald.out 2>&1 </dev/null &
wait_for '[ -S /run/systemd/journal/socket ] && [ -S /run/systemd/journal/stdout ]'
# Linger is logind's, which lets a user have it where polkit says so. Neither needs a systemd in PID 1.
dbus-daemon --system --nofork --nopidfile >/run/lab/bus.out 2>&1 </dev/null &
wait_for '[ -S /run/dbus/system_bus_socket ]'
/usr/lib/polkit-1/polkitd --no-debug >/run/lab/polkit.out 2>&1 </dev/null &
/lib/systemd/systemd-logind >/run/lab/logind.out 2>&1 </dev/null &
wait_for 'loginctl list-users >/dev/null 2>&1'
as_user=(setpriv --reuid $id --regid $id --clear-groups env -i HOME=/home/$user USER=$user LOGNAME=$user
  SHELL=/bin/bash LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin XDG_RUNTIME_DIR=/run/user/$id)
(
  join user.slice/user-$id.slice/user@$id.service
  cd /
  exec "${as_user[@]}" SYSTEMD_LOG_TARGET=journal /lib/systemd/systemd --user
) >/run/lab/manager.out 2>&1 </dev/null &
wait_for "[[ \$(${as_user[*]} systemctl --user is-system-running 2>/dev/null) =~ running|degraded ]]"
echo ready
read -r _
