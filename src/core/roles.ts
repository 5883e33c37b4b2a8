/** The agents of a project, by the names of their directories. */

const order = ["developer", "tester", "project-manager", "testrunner", "orchestrator"];

const aliases: Readonly<Record<string, string>> = {
  pm: "project-manager",
  "test-runner": "testrunner",
  projectmanager: "project-manager",
};

/** A role's name without its spelling variants: `project_manager`, `PM` and `project-manager` are one. */
export function canonicalRole(name: string): string {
  const plain = name.toLowerCase().replaceAll("_", "-");
  return aliases[plain] ?? plain;
}

/** Place of a role in the merge order, smaller first; all unknown roles share the last place and go by commit time. */
export function rolePlace(name: string): number {
  const place = order.indexOf(canonicalRole(name));
  return place < 0 ? order.length : place;
}

/** True for branch names that the orchestrator gives its agents: a role, `<role>-branch`, `integration`. Short names. */
export function isAgentBranchName(name: string): boolean {
  if (name === "integration" || name.startsWith("integration-")) return true;
  return rolePlace(name.replace(/-branch$/, "")) < order.length;
}
