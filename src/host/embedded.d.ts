/** Files that the build embeds as text; vitest.config.ts does the same for the tests. */
declare module "*.service" {
  const text: string;
  export default text;
}
declare module "*.timer" {
  const text: string;
  export default text;
}
/** A file of the dashboard's page, bundled: build/page.mjs. */
declare module "*?text" {
  const text: string;
  export default text;
}
