const unitBytes: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KIB: 1_024,
  MIB: 1_048_576,
  GIB: 1_073_741_824,
};

/** The texts that are sizes, as a JSON Schema pattern. */
export const sizePattern = "^(?=.*[1-9])[0-9]{1,12}(\\.[0-9]{1,3})? ?([kKmMgG][iI]?)?[bB]$";

/** Reads `10MB`, `512KiB`, `1.5 GB` and gives bytes (MB is 1,000,000, MiB 1,048,576); undefined when the text is something else. */
export function parseSize(text: string): number | undefined {
  if (!new RegExp(sizePattern).test(text)) return undefined;
  const [, amount, unit] = /^([0-9.]+) ?([a-zA-Z]+)$/.exec(text) ?? [];
  return Math.max(1, Math.round(Number(amount) * (unitBytes[(unit ?? "").toUpperCase()] ?? Number.NaN)));
}

/** The text that parseSize reads back as `bytes`, in the largest decimal unit that loses nothing: `10_000_000` is `10MB`. */
export function formatSize(bytes: number): string {
  for (const unit of ["GB", "MB", "KB"]) {
    const size = unitBytes[unit] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}B`;
}
