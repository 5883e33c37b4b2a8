import { spawnSync } from "node:child_process";

/**
 * Whether the programs that a Debian package brings work here; the package is installed when they do not and we may. Where they must be
 * there (as root, or where CI is set) their absence throws: a suite that does nothing must not look like one that passed.
 * @param probe a command that succeeds when the package is there
 */
export function haveDebianPackage(name: string, probe: readonly [string, ...string[]]): boolean {
  const works = (): boolean => spawnSync(probe[0], probe.slice(1)).status === 0;
  if (works()) return true;
  const root = process.getuid?.() === 0;
  if (root) {
    // Run level 1, so that a package with a daemon does not start it: invoke-rc.d(8).
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
    const install = () =>
      spawnSync("apt-get", ["install", "-y", "-q", "--no-install-recommends", name], { env }).status === 0;
    if (!install()) {
      spawnSync("apt-get", ["update", "-q"], { env });
      install();
    }
  }
  if (works()) return true;
  if (root || process.env["CI"]) throw new Error(`${probe.join(" ")} does not work: apt-get install ${name}`);
  console.warn(`${probe.join(" ")} does not work here: its tests are skipped (apt-get install ${name}).`);
  return false;
}
