import type { Queue } from "./database.ts";
import { requiredInteger, requiredText } from "./rows.ts";

/**
 * Gives tags to projects and takes others away; gives the tags that each has then, sorted. All of them or none: null for a project that
 * is not in the queue, and then nothing is changed.
 */
export async function changeTags(
  queue: Queue,
  ids: readonly number[],
  change: { readonly add: readonly string[]; readonly remove: readonly string[] },
): Promise<Map<number, string[] | null>> {
  const wanted = JSON.stringify(ids);
  return await queue.write(async (tx) => {
    const rows = await tx.all("SELECT id FROM project_queue WHERE id IN (SELECT value FROM json_each(?))", [wanted]);
    const known = new Set(rows.map((row) => requiredInteger(row, "id")));
    const tags = new Map<number, string[] | null>(ids.map((id) => [id, known.has(id) ? [] : null]));
    if (known.size < ids.length) return tags;
    for (const id of ids) {
      for (const tag of change.remove) {
        await tx.run("DELETE FROM merge_project_tag WHERE project_id = ? AND tag = ?", [id, tag]);
      }
      for (const tag of change.add) {
        await tx.run("INSERT OR IGNORE INTO merge_project_tag (project_id, tag) VALUES (?,?)", [id, tag]);
      }
    }
    const select = "SELECT project_id, tag FROM merge_project_tag WHERE project_id IN (SELECT value FROM json_each(?))";
    for (const row of await tx.all(`${select} ORDER BY project_id, tag`, [wanted])) {
      tags.get(requiredInteger(row, "project_id"))?.push(requiredText(row, "tag"));
    }
    return tags;
  });
}
