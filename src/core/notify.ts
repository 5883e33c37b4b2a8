/** What people are told of, and by which ways. The words are public: configuration, payloads. */

export const eventNames = ["merged", "failed", "held", "approval", "push", "died"] as const;
export type EventName = (typeof eventNames)[number];

export const channelNames = ["slack", "webhook", "email", "desktop", "command"] as const;
export type ChannelName = (typeof channelNames)[number];

/** How the way to a mail server is protected: from the start, by STARTTLS or not at all, or not at all. */
export const mailSecurities = ["tls", "starttls", "none"] as const;

/** [notify]. A channel that is null, or false, is not wanted. Times are milliseconds, paths absolute. */
export type NotifySettings = {
  readonly on: readonly EventName[];
  /** held for longer than this is told */
  readonly heldAfterMs: number;
  /** so is a push that is owed for longer than this */
  readonly pushAfterMs: number;
  readonly slack: { readonly urlFile: string | null } | null;
  readonly webhook: {
    readonly url: string | null;
    readonly urlFile: string | null;
    readonly secretFile: string | null;
  } | null;
  readonly email: {
    readonly host: string;
    readonly port: number;
    readonly security: (typeof mailSecurities)[number];
    readonly user: string | null;
    readonly passwordFile: string | null;
    readonly from: string;
    readonly to: readonly string[];
  } | null;
  readonly desktop: boolean;
  /** program and arguments */
  readonly command: readonly string[] | null;
};

/** The channels that are wanted, in the order of channelNames. */
export function channelsOf(settings: NotifySettings): ChannelName[] {
  return channelNames.filter((name) => settings[name] !== null && settings[name] !== false);
}

/** Whether somebody wants to hear of this: what a rule says of the project goes before `on`; null where none does, or it is about no one project. */
export function isWanted(event: EventName, on: readonly EventName[], rule: readonly EventName[] | null): boolean {
  return (rule ?? on).includes(event);
}

/** What happened once. Times are unix milliseconds; what is not known, or does not apply, is null. */
export type Happening = {
  /** The same for the same happening, whenever and however often it is told: who receives it can drop what they know. */
  readonly id: string;
  readonly event: EventName | "test";
  readonly at: number;
  readonly project: { readonly id: number; readonly name: string; readonly path: string | null } | null;
  /** a reason code, or the state of a push */
  readonly reason: string | null;
  readonly detail: string | null;
  /** the common git directory */
  readonly repository: string | null;
  /** short branch name */
  readonly target: string | null;
  readonly mergeCommit: string | null;
  readonly conflicts: readonly string[];
  readonly runId: string | null;
};

/** A hold that is somebody's wish, or that is told in another way, is not told as one that lasts too long. */
export const quietHolds: readonly string[] = ["awaiting_approval", "outside_window", "excluded", "repository_leased"];

/** Whether a hold waits for somebody to approve, be it the first of several reasons or, in the words of together() in obstacles.ts, another. */
export const wantsApproval = (reason: string | null, detail: string | null): boolean =>
  reason === "awaiting_approval" || detail?.includes(" Also awaiting_approval: ") === true;
