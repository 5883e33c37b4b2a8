// the namespace import of zod/mini is what lets the bundler drop the rest: 19 KB and 6 ms, against 454 KB and 30 ms for `z` from "zod"
import * as z from "zod/mini";
import { durationPattern } from "../core/durations.ts";
import { eventNames, mailSecurities } from "../core/notify.ts";
import { projectTypes } from "../core/projectType.ts";
import { strategies } from "../core/rules.ts";
import { sizePattern } from "../core/sizes.ts";

/*
 * What a configuration file may hold. Every check is one that JSON Schema can say too, so that `config schema` is the truth,
 * and every `error` is the end of the sentence "Give ...".
 */
const matching = (pattern: string, error: string) => z.string({ error }).check(z.regex(new RegExp(pattern), { error }));
const oneOf = <const T extends string>(...names: readonly T[]) =>
  z.enum(names, { error: names.length === 1 ? JSON.stringify(names[0]) : `one of: ${names.join(", ")}` });
const wholeNumber = (error = "a whole number from 1 up") => z.int({ error }).check(z.minimum(1, { error }));
const filled = (error: string) => z.string({ error }).check(z.minLength(1, { error }));
const duration = () => matching(durationPattern, 'a time such as "90s", "5m", "1h30m" or "14d"');
const size = () => matching(sizePattern, 'a size such as "500KB" or "10MB"');
const listOf = <T extends z.core.SomeType>(item: T, error: string) => z.array(item, { error });
const truth = () => z.boolean({ error: "true or false" });

/** https://git-scm.com/docs/git-check-ref-format, as far as a pattern can say it; git has the last word. */
const branch = () =>
  matching(
    "^(?!(HEAD|@)$)(?![-/.])(?!.*(\\.\\.|@\\{|//|/\\.))[^\\u0000-\\u0020\\u007f~^:?*\\[\\\\]+(?<![/.])(?<!\\.lock)$",
    'the name of a branch, or "auto"',
  );

/** A URL that carries a user or a token would show up in `config show` and in logs. */
const database = () =>
  matching(
    "^(?![A-Za-z0-9+.-]+://[^/?#]*@)(?![^?]*\\?(.*&)?authToken=)[\\s\\S]+$",
    "a path or the URL of a libSQL server, without a password or a token (they belong in auth_token_file)",
  );

/** Inside the repository, as git writes it. */
const relativePath = () =>
  matching("^(?!/)(?!(.*/)?\\.\\.(/|$))[\\s\\S]+$", "a path inside the repository, without a leading /");

const section = <T extends z.core.$ZodLooseShape>(shape: T) =>
  z.optional(z.strictObject(shape, { error: "a table of keys" }));
const optional = z.optional;

/** A table, or `false`: what takes back what an earlier rule said. */
const orNone = <T extends z.core.SomeType>(table: T, error: string) =>
  z.union([table, z.literal(false, { error })], { error });

export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const clock = () => matching("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", 'a time of day such as "22:00"');
const moment = () =>
  matching(
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)?$",
    'a day such as "2026-12-24", or with a time "2026-12-24T18:00"',
  );
const zone = () => filled('the name of a time zone, such as "Europe/Berlin"');

const windowWanted =
  'a table such as { days = ["mon", "fri"], from = "22:00", to = "06:00", zone = "Europe/Berlin" }, or false';
const window = () =>
  orNone(
    z.strictObject(
      {
        days: optional(
          listOf(oneOf(...weekdays), "a list of days").check(z.minLength(1, { error: "at least one day" })),
        ),
        from: optional(clock()),
        to: optional(clock()),
        zone: optional(zone()),
      },
      { error: windowWanted },
    ),
    windowWanted,
  );

const freezeWanted = 'a table such as { from = "2026-12-20", until = "2027-01-04" }, or false';
const freeze = () =>
  orNone(
    z.strictObject({ from: optional(moment()), until: moment(), zone: optional(zone()) }, { error: freezeWanted }),
    freezeWanted,
  );

const command = () =>
  listOf(
    matching("^[^\\u0000]+$", "a word of the command, without NUL"),
    'a list of words such as ["npm", "test"]',
  ).check(z.minLength(1, { error: 'a list of words such as ["npm", "test"]' }));
const environment = () =>
  z.record(
    matching("^[A-Za-z_][A-Za-z0-9_]*$", "the name of a variable"),
    matching("^[^\\u0000]*$", "a text without NUL"),
    {
      error: 'a table such as { CI = "1" }',
    },
  );

const gateWanted = 'a table such as { command = ["npm", "test"], timeout = "5m" }, a list of those, or false';
const gateTable = () =>
  z.strictObject(
    {
      name: optional(filled("a name")),
      command: command(),
      timeout: optional(duration()),
      env: optional(environment()),
    },
    { error: gateWanted },
  );
const ruleGate = () =>
  z.union([gateTable(), listOf(gateTable(), gateWanted), z.literal(false, { error: gateWanted })], {
    error: gateWanted,
  });

const portNumber = (error = "a port number") =>
  z.int({ error }).check(z.minimum(1, { error }), z.maximum(65535, { error }));
const file = () => optional(filled("the path of a file"));
const address = () => matching("^[^\\u0000-\\u001f]*[^\\s@<>]+@[^\\s@<>]+>?$", "a mail address");
const filledList = <T extends z.core.SomeType>(item: T, error: string) =>
  z.array(item, { error }).check(z.minLength(1, { error }));

/** The tables of [notify]. Whether each says enough depends on the environment too: see config-notify.ts. */
export const notifyTables = {
  slack: z.strictObject({ url_file: file() }, { error: 'a table: { url_file = "..." }' }),
  webhook: z.strictObject(
    {
      url: optional(matching("^https?://(?![^/?#]*@)[^\\s]+$", "an http or https URL without user and password")),
      url_file: file(),
      secret_file: file(),
    },
    { error: 'a table: { url = "https://..." }' },
  ),
  email: z.strictObject(
    {
      host: filled("the name of a mail server"),
      port: optional(portNumber()),
      security: optional(oneOf(...mailSecurities)),
      user: optional(filled("the name to log in with")),
      password_file: file(),
      from: address(),
      to: filledList(address(), "a list of mail addresses"),
    },
    { error: "a table with host, from and to" },
  ),
};

const matchWanted = 'a table with at least one of: name, path, spec, tag, type, priority (name = "*" is every project)';

const rule = z.strictObject(
  {
    match: z
      .strictObject(
        {
          name: optional(filled("a glob of project names")),
          path: optional(matching("^(/|~/|\\*)", "a glob of whole paths, such as ~/work/**")),
          spec: optional(matching("^(/|~/|\\*)", "a glob of whole paths of spec files, such as **/nightly/*.md")),
          tag: optional(filled("a tag")),
          type: optional(oneOf(...projectTypes)),
          priority: optional(matching("^(>=|<=|>|<|=)? ?-?[0-9]{1,9}$", 'a priority such as ">= 5"')),
        },
        { error: matchWanted },
      )
      .check(z.refine((match) => Object.keys(match).length > 0, { error: matchWanted }))
      .register(z.globalRegistry, { minProperties: 1 }),
    trust: optional(truth()),
    action: optional(oneOf("merge", "skip")),
    approval: optional(truth()),
    window: optional(window()),
    freeze: optional(freeze()),
    after: optional(listOf(filled("the name of a project"), "a list of project names")),
    strategy: optional(oneOf(...strategies)),
    target: optional(branch()),
    gate: optional(ruleGate()),
    push: optional(oneOf("auto", "off")),
    notify: optional(orNone(listOf(oneOf(...eventNames), "a list of events"), "a list of events, or false")),
  },
  { error: "a table with match" },
);

export const configSchema = z.strictObject({
  queue: section({ database: optional(database()), auth_token_file: optional(filled("the path of a file")) }),
  run: section({
    batch_size: optional(wholeNumber()),
    merge_timeout: optional(duration()),
    max_runtime: optional(duration()),
    parallel: optional(z.literal(1, { error: "1" })),
  }),
  merge: section({
    target: optional(branch()),
    strategy: optional(oneOf(...strategies)),
    heads: optional(oneOf("all", "newest")),
    uncommitted: optional(oneOf("hold", "ignore")),
    ignore_uncommitted: optional(listOf(filled("a glob"), "a list of globs")),
    keep_target: optional(listOf(relativePath(), "a list of paths")),
  }),
  push: section({
    mode: optional(oneOf("auto", "off")),
    remote: optional(matching("^[A-Za-z0-9_][A-Za-z0-9_./-]*$", "the name of a remote")),
    unpublished: optional(oneOf("withhold", "push")),
    diverged: optional(oneOf("merge", "hold")),
    timeout: optional(duration()),
  }),
  tag: section({ mode: optional(oneOf("push", "local", "off")) }),
  backup: section({ keep: optional(duration()) }),
  gate: section({
    command: optional(command()),
    timeout: optional(duration()),
    env: optional(environment()),
    mode: optional(oneOf("each", "batch")),
  }),
  notify: section({
    on: optional(listOf(oneOf(...eventNames), `a list of events: ${eventNames.join(", ")}`)),
    held_after: optional(duration()),
    push_after: optional(duration()),
    slack: optional(notifyTables.slack),
    webhook: optional(notifyTables.webhook),
    email: optional(notifyTables.email),
    desktop: optional(truth()),
    command: optional(command()),
  }),
  log: section({
    file: optional(filled("the path of a file")),
    level: optional(oneOf("error", "warn", "info", "debug")),
    format: optional(oneOf("text", "json")),
    max_size: optional(size()),
  }),
  rule: optional(z.array(rule, { error: "[[rule]] tables" })),
});

/** The same as JSON Schema (draft 2020-12), for editors. */
export const configJsonSchema = (): object => z.toJSONSchema(configSchema, { io: "input" });

export type RawConfig = z.infer<typeof configSchema>;

/** Keys by table that the documentation names and this version cannot act on: refused, because ignoring them would be a lie. */
export const notBuilt: ReadonlyMap<string, readonly string[]> = new Map([
  ["resolver", ["commands", "timeout"]],
  ["rule", ["resolver"]],
]);

/** Values of built keys that this version cannot act on yet. */
export const notBuiltValues: ReadonlyMap<string, (value: unknown) => boolean> = new Map([
  ["run.parallel", (value: unknown) => Number.isSafeInteger(value) && Number(value) > 1],
]);
