/** A share of 0..1 as `94 %`; neither 0 nor 100 unless it is exactly that. */
export function percent(share: number): string {
  const rounded = Math.round(share * 100);
  return `${share > 0 && share < 1 ? Math.min(99, Math.max(1, rounded)) : rounded} %`;
}
