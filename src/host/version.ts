declare const __VERSION__: string;

/** Filled in by the build; sources run as they are have none. */
export const version = typeof __VERSION__ === "string" ? __VERSION__ : "0.0.0";
