/** Damages documents in ways that are drawn: bytes anywhere, or values and keys of their JSON. */

import { rawFile } from "../make_model.ts";

/** Numbers from 0 below 1, the same for the same seed. */
export type Random = () => number;

/** A generator of random numbers (mulberry32). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of some things. */
export function pick<T>(random: Random, things: readonly T[]): T {
  return things[Math.floor(random() * things.length)]!;
}

/** How a document is laid out. */
export type Layout = "json" | "lines" | "safetensors" | "binary";

/** A damaged copy of a document. */
export function mutate(random: Random, seed: Uint8Array, layout: Layout): Uint8Array {
  if (layout === "binary" || random() < 0.3) return damageBytes(random, seed);
  if (layout === "json") return encode(damageJson(random, decode(seed)));
  if (layout === "lines") {
    const lines = decode(seed).trimEnd().split("\n");
    const at = Math.floor(random() * lines.length);
    return encode(`${lines.with(at, damageJson(random, lines[at]!)).join("\n")}\n`);
  }
  const end = 8 + Number(new DataView(seed.buffer, seed.byteOffset).getBigUint64(0, true));
  const header = encode(damageJson(random, decode(seed.subarray(8, end))));
  const file = rawFile(header, seed.length - end);
  file.set(seed.subarray(end), 8 + header.length);
  return random() < 0.2 ? damageBytes(random, file) : file;
}

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Bytes that mean something somewhere. */
const BYTES = [0, 1, 0x22, 0x2c, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xed, 0xff];

function damageBytes(random: Random, seed: Uint8Array): Uint8Array {
  let bytes = Array.from(seed);
  for (let count = 1 + Math.floor(random() ** 3 * 6); count > 0; count--) {
    const at = Math.floor(random() ** pick(random, [1, 3]) * bytes.length);
    const length = Math.floor(random() ** 4 * 64) + 1;
    const change = pick(random, ["flip", "set", "insert", "remove", "repeat", "cut"]);
    if (change === "flip") bytes[at] = bytes[at]! ^ (1 << Math.floor(random() * 8));
    else if (change === "set") bytes[at] = pick(random, BYTES);
    else if (change === "insert") bytes.splice(at, 0, pick(random, BYTES));
    else if (change === "remove") bytes.splice(at, length);
    else if (change === "repeat") bytes.splice(at, 0, ...bytes.slice(at, at + length));
    else if (random() < 0.3) bytes = bytes.slice(0, at);
  }
  return Uint8Array.from(bytes);
}

/** Values as they are written. */
const VALUES = [
  ...["0", "1", "-1", "-0", "64.0", "0.5", "1e308", "-1e308", "1e999", "5e-324", "1e-400"],
  ...["4294967296", "9007199254740993", "18446744073709551615", "18446744073709551616"],
  ...["2", "3", "7", "8", "100", "65536", "1000000", "2147483647"],
  ...["null", "true", "false", "NaN", "Infinity", '""', '"0"', '"\\ud800"', '"\\u0000"'],
  ...['"__proto__"', '"constructor"', '"../../etc/passwd"', '"re:(a+)+$"', '"*a*a*a*b"', '"*"'],
  ...['"\\u001b[31m\\u202e"', '"\u{1f600}"', '"F32"', '"BF16"', '"U8"', '"F4"', '"C64"'],
  ...["[]", "{}", "[[]]", "[null]", '{"":{}}', "[0,0]", "[1,2,3]", '{"__proto__":{"a":1}}'],
  "[".repeat(40) + "]".repeat(40),
  '{"a":'.repeat(40) + "0" + "}".repeat(40),
  `"${"x".repeat(20_000)}"`,
  `[${"1,".repeat(3000)}1]`,
  `"${"ab*".repeat(2000)}"`,
];

const KEYS = ["__proto__", "constructor", "toString", "length", "", "0", "__metadata__", "\u202e"];

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A list or an object of a document, to be changed. */
type Parent = Json[] | { [key: string]: Json };

/** What stands in the text for a value that is written as it is. */
const RAW = "\ue000";

function damageJson(random: Random, text: string): string {
  const root = JSON.parse(text) as Parent;
  const raws: string[] = [];
  const raw = () => `${RAW}${raws.push(pick(random, VALUES)) - 1}${RAW}`;
  for (let count = 1 + Math.floor(random() ** 3 * 4); count > 0; count--) {
    const parents: Parent[] = [];
    collect(root, parents);
    damageNode(random, pick(random, parents), parents, raw);
  }
  const written = JSON.stringify(root)
    .replaceAll(new RegExp(`"${RAW}(\\d+)${RAW}"`, "g"), (_, i) => raws[Number(i)]!)
    .replaceAll(RAW, "");
  // The same key twice is something that only a text can say.
  if (random() > 0.05) return written;
  return written.replace(/"(\w+)":/, (key, name) => `"${name}":${pick(random, VALUES)},${key}`);
}

function collect(value: Json, into: Parent[]): void {
  if (typeof value !== "object" || value === null) return;
  into.push(value);
  for (const part of Object.values(value)) collect(part, into);
}

function damageNode(
  random: Random,
  parent: Parent,
  parents: readonly Parent[],
  raw: () => string,
): void {
  if (Array.isArray(parent)) {
    const at = Math.floor(random() * (parent.length + 1));
    const change = pick(random, ["set", "remove", "insert", "repeat", "graft"]);
    if (change === "set") parent[Math.max(0, at - 1)] = raw();
    else if (change === "remove") parent.splice(at, 1);
    else if (change === "insert") parent.splice(at, 0, raw());
    else if (change === "graft") parent.splice(at, 1, copy(pick(random, parents)));
    else parent.splice(at, 0, ...copy(parent.slice(at, at + 3)) as Json[]);
    return;
  }
  const keys = Object.keys(parent);
  const key = keys.length === 0 ? "" : pick(random, keys);
  const change = pick(random, ["set", "set", "nudge", "remove", "add", "rename", "graft"]);
  const value = parent[key];
  const put = (key: string, value: Json) =>
    Object.defineProperty(parent, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  if (change === "set") put(key, raw());
  else if (change === "nudge") put(key, typeof value === "number" ? value * 2 - 3 : raw());
  else if (change === "remove") delete parent[key];
  else if (change === "add") put(pick(random, KEYS), raw());
  else if (change === "graft") put(key, copy(pick(random, parents)));
  else if (value !== undefined) {
    delete parent[key];
    put(pick(random, [...KEYS, `${key}x`, key.slice(1)]), value);
  }
}

/** No more of a document than it had, or it grows without end. */
function copy<T extends Json>(value: T): T {
  const text = JSON.stringify(value);
  return text.length > 20_000 ? ([] as Json as T) : JSON.parse(text) as T;
}
