import type { Log } from "../host/log.ts";

/** The log of what must leave no line: a dry run, a look. */
export const silent: Log = { error: () => {}, warn: () => {}, notice: () => {}, info: () => {}, debug: () => {} };
