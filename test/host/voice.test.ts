import { expect, test } from "vitest";
import { openVoice, withStatus } from "../../src/host/voice.ts";

/** What a line that is cleared leaves behind. */
const cleared = "\r\x1b[K";

/** A stream with what was written to it, and what a terminal would show of that. */
function open(isTTY = true) {
  const written: string[] = [];
  const stderr = withStatus({ write: (text: string) => written.push(text), isTTY, columns: 20 });
  const screen = () =>
    written
      .join("")
      .split("\n")
      .map((line) => line.split(cleared).at(-1))
      .join("\n");
  return { stderr, written, screen };
}

test.each([
  [{ quiet: false, verbose: false }, "remark\nwarning: careful\nerror: wrong\n"],
  [{ quiet: false, verbose: true }, "detail\nremark\nwarning: careful\nerror: wrong\n"],
  [{ quiet: true, verbose: true }, "warning: careful\nerror: wrong\n"],
])("with %j it says %j", (how, wanted) => {
  const { stderr, screen } = open();
  const voice = openVoice({ stderr, env: {}, ...how });
  voice.debug("detail");
  voice.log("remark");
  voice.warn("careful");
  voice.error("wrong");
  expect(screen()).toBe(wanted);
});

test("what is in hand gives way to the next line, to the next step, and to the end", () => {
  const { stderr, screen } = open();
  stderr.show("one");
  expect(screen()).toBe("… one");
  stderr.show("a step that is wider than the terminal");
  expect(screen()).toBe("… a step that is wi");
  stderr.show("支払いサービスを合わせる");
  expect(screen()).toBe("… 支払いサービスを");
  stderr.write("line\n");
  expect(screen()).toBe("line\n");
  stderr.show("three");
  stderr.clear();
  stderr.clear();
  expect(screen()).toBe("line\n");
});

test("what is in hand is nothing for a file", () => {
  const { stderr, written } = open(false);
  stderr.show("one");
  stderr.write("line\n");
  stderr.clear();
  expect(written).toEqual(["line\n"]);
});
