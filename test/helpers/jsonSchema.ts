/**
 * Whether `value` fits a JSON Schema: the keywords that our own schemas use, and an error for any other, so that a new one
 * cannot slip through unchecked.
 */
export function matchesSchema(schema: object, value: unknown): boolean {
  const entries = Object.entries(schema);
  return entries.every(([keyword, wanted]) => check(keyword, wanted, value, schema));
}

const types: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  array: Array.isArray,
  string: (value) => typeof value === "string",
  boolean: (value) => typeof value === "boolean",
  number: (value) => typeof value === "number",
  integer: Number.isInteger,
};

function check(keyword: string, wanted: unknown, value: unknown, schema: object): boolean {
  const object: Record<string, unknown> = types["object"]?.(value) ? { ...Object(value) } : {};
  const properties: Record<string, object> = "properties" in schema ? { ...Object(schema.properties) } : {};
  switch (keyword) {
    case "$schema":
      return true;
    case "type":
      return types[String(wanted)]?.(value) ?? false;
    case "properties":
      return Object.entries(properties).every(([key, inner]) => !(key in object) || matchesSchema(inner, object[key]));
    case "additionalProperties":
      return wanted !== false || Object.keys(object).every((key) => key in properties);
    case "required":
      return Array.isArray(wanted) && wanted.every((key) => key in object);
    case "minProperties":
      return Object.keys(object).length >= Number(wanted);
    case "items":
      return !Array.isArray(value) || value.every((item) => matchesSchema(Object(wanted), item));
    case "enum":
      return Array.isArray(wanted) && wanted.includes(value);
    case "const":
      return value === wanted;
    case "minimum":
      return Number(value) >= Number(wanted);
    case "maximum":
      return Number(value) <= Number(wanted);
    case "minLength":
      return String(value).length >= Number(wanted);
    case "pattern":
      return typeof value !== "string" || new RegExp(String(wanted), "u").test(value);
    default:
      throw new Error(`the schema uses ${keyword}, which this test does not know`);
  }
}
