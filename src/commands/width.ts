/** Columns to write for: COLUMNS (as git and systemctl take it), else the terminal's; null for a pipe, where nothing is cut. */
export function viewWidth(context: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly columns: number | undefined;
}): number | null {
  const named = context.env["COLUMNS"] ?? "";
  if (/^[1-9][0-9]{0,4}$/.test(named)) return Number(named);
  return context.columns ?? null;
}
