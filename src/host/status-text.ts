/**
 * Gives the function that tells systemd what is in hand (sd_notify(3), STATUS=; systemctl status shows it), or one that does nothing
 * where no systemd listens. Through systemd-notify, because Node has no datagram socket for it. One at a time: of what is said
 * meanwhile only the last is told. The process does not end before the last is; systemd-notify itself gives up after 5 s.
 */
export function statusTeller(env: Readonly<Record<string, string | undefined>>): (step: string) => void {
  const { NOTIFY_SOCKET: socket, PATH: path } = env;
  if (socket === undefined || socket === "") return () => {};
  let telling = false;
  let next: string | null = null;
  const tell = async (step: string): Promise<void> => {
    if (telling) {
      next = step;
      return;
    }
    telling = true;
    const { spawn } = await import("node:child_process");
    const child = spawn("systemd-notify", [`--status=${step}`], {
      stdio: "ignore",
      env: { NOTIFY_SOCKET: socket, ...(path === undefined ? {} : { PATH: path }) },
    });
    child.on("error", () => {}); // a host without it: nothing is lost but the words
    child.on("close", () => {
      telling = false;
      const waiting = next;
      next = null;
      if (waiting !== null) void tell(waiting);
    });
  };
  return (step) => void tell(step);
}
