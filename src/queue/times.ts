import type { Value } from "@libsql/client";

const civil = /^(\d{4})-(\d\d)-(\d\d)([T ])(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/i;
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** 9999-12-31T23:59:59.999Z: beyond it ISO text needs six digits for a year, and no project was completed then. */
const latest = 253_402_300_799_999;

/**
 * A moment as the orchestrator's tools wrote it, in unix milliseconds; null for NULL and for what is no time.
 * Numbers, and text that is a number, are unix seconds. `2026-05-04T10:00:00` is local time of this host (Python's
 * datetime.now().isoformat()), `2026-05-04 10:00:00` is UTC (SQLite's CURRENT_TIMESTAMP); an offset or Z decides itself.
 * @param hostZoneOffset minutes east of UTC to use for local times instead of this host's zone
 */
export function parseCompletion(stored: Value | undefined, hostZoneOffset?: number): number | null {
  if (typeof stored === "number" || typeof stored === "bigint") return bounded(Number(stored) * 1000);
  if (typeof stored !== "string") return null;
  const written = stored.trim();
  if (decimal.test(written)) return bounded(Number(written) * 1000);
  const parts = civil.exec(written);
  if (parts === null) return null;
  const [, year, month, day, separator, hour, minute, second = "0", fraction = "", zone] = parts;
  const fields = [Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)] as const;
  const milliseconds = Number(fraction.slice(0, 3).padEnd(3, "0"));
  const asUtc = Date.UTC(...fields, milliseconds);
  if (!exists(asUtc, fields)) return null;
  if (zone !== undefined) return bounded(asUtc - offsetMinutes(zone) * 60_000);
  if (separator === " ") return bounded(asUtc);
  if (hostZoneOffset !== undefined) return bounded(asUtc - hostZoneOffset * 60_000);
  return bounded(new Date(...fields, milliseconds).getTime());
}

/** Date.UTC takes 30 February for 1 March, and the year 0050 for 1950: only what reads back the same was a date. */
function exists(utc: number, fields: readonly [number, number, number, number, number, number]): boolean {
  const date = new Date(utc);
  const back = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  const clock = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()];
  return [...back, ...clock].every((field, index) => field === fields[index]);
}

function offsetMinutes(zone: string): number {
  if (zone.toUpperCase() === "Z") return 0;
  const digits = zone.slice(1).replace(":", "").padEnd(4, "0");
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  return zone.startsWith("-") ? -minutes : minutes;
}

function bounded(milliseconds: number): number | null {
  const whole = Math.round(milliseconds);
  return whole >= 0 && whole <= latest ? whole : null;
}
