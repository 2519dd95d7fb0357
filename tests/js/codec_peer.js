// The JavaScript client's codec, for tests in Python: a JSON line in, a JSON line out. Started by test_one_json.py.
//
//   {"decode": text, "depth": n}   what the text is, encoded again: {"text"}, or {"error"}
//   {"source": expression}         what the expression is, encoded: {"text"}, or {"error"}; and whether it decodes to the same

import { isDeepStrictEqual } from "node:util";
import { createInterface } from "node:readline";

import { jsonCodec } from "../../resumehub/static/resumehub.js";

function answer({ decode, source, depth = 100 }) {
  const codec = jsonCodec({ maxDepth: depth });
  if (decode !== undefined) {
    const message = codec.decode(decode);
    return { text: codec.encode(message) };
  }
  const payload = (0, eval)(`(${source})`);
  const text = codec.encode({ event: "e", payload });
  // What JSON itself leaves out or has no sign for, and nothing else, is another value.
  const same = isDeepStrictEqual(codec.decode(text).payload, asJson(payload) ?? null);
  return { text, same };
}

function asJson(value) {
  if (Array.isArray(value)) return value.map((one) => asJson(one) ?? null);
  if (typeof value?.toJSON === "function") return value.toJSON();
  if (value === null || typeof value !== "object") return Object.is(value, -0) ? 0 : value;
  const kept = {};
  for (const [name, one] of Object.entries(value)) {
    if (one !== undefined) Object.defineProperty(kept, name, { value: asJson(one), enumerable: true, writable: true, configurable: true });
  }
  return kept;
}

for await (const line of createInterface({ input: process.stdin })) {
  let said;
  try {
    said = answer(JSON.parse(line));
  } catch (error) {
    said = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
