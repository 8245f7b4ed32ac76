/** @file How files are broken: bytes changed, cut out, repeated and torn off; values of JSON replaced, dropped, moved. */
import type { Prng } from '../../protocol/prng.ts';

/** What counts and lengths are wrong by. */
const NUMBERS: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 8n, 9n, 255n],
  ...[20n, 24n, 31n, 32n, 40n, 53n, 61n, 63n].map((power) => 2n ** power),
  2n ** 64n - 1n,
];

type Change = (file: number[], at: number, prng: Prng) => void;

const CHANGES: readonly Change[] = [
  (file, at, prng) => {
    file[at]! ^= 1 << prng.below(8);
  },
  (file, at, prng) => {
    file[at] = prng.below(256);
  },
  (file, at, prng) => {
    const number = NUMBERS[prng.below(NUMBERS.length)]!;
    for (let i = 0; i < 8 && at + i < file.length; i++) file[at + i] = Number((number >> BigInt(8 * i)) & 255n);
  },
  (file, at, prng) => {
    file.splice(at, 1 + prng.below(16));
  },
  (file, at, prng) => {
    file.splice(at, 0, ...file.slice(at, at + 1 + prng.below(64)));
  },
  (file, at) => {
    file.length = at;
  },
  (file, at, prng) => {
    const from = prng.below(file.length);
    for (let i = 0; i < 16 && from + i < file.length && at + i < file.length; i++) file[at + i] = file[from + i]!;
  },
];

/** One to three changes of bytes, half of them among the first `head`, where the counts and lengths stand. */
export function changedBytes(bytes: Uint8Array, head: number, prng: Prng): Uint8Array {
  const file = [...bytes];
  for (let left = 1 + prng.below(3); left > 0 && file.length > 0; left--) {
    const at = prng.below(prng.below(2) === 0 ? file.length : Math.min(file.length, head));
    CHANGES[prng.below(CHANGES.length)]!(file, at, prng);
  }
  return Uint8Array.from(file);
}

/** What stands where something else should: other types, other sizes, names of the language's own. */
const ODD: readonly unknown[] = [
  ...[null, true, false, 0, 1, -1, 2, 3, 0.5, 1e-9, 7, 8, 255, 65536, 2 ** 31, 2 ** 53, 1e18, 1e308],
  ...['', 'a', '__proto__', 'constructor', '\u0000', 'x'.repeat(300), '[MASK]', '0', '(a+)+$', '\\', 'all-linear'],
  ...[[], [[]], [null], [0], [1, 2], ['a', 'a'], [-1], [2 ** 40, 2 ** 40], {}, { a: 1 }, { type: 'a' }, { content: 1 }],
];

/** One to three changes somewhere in a value of JSON; as text. */
export function changedJson(text: string, prng: Prng): string {
  const root = { value: JSON.parse(text) as unknown };
  for (let left = 1 + prng.below(3); left > 0; left--) {
    const places = placesIn(root, prng);
    const { holder, key } = places[prng.below(places.length)]!;
    changePlace(holder, key, { other: places[prng.below(places.length)]!, prng });
  }
  return JSON.stringify(root.value) ?? 'null';
}

interface Place {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

/** A walk down from the top, a child of each value by chance: what stands near the top is met more often than lists' items. */
function placesIn(root: { value: unknown }, prng: Prng): Place[] {
  const places: Place[] = [{ holder: root as Record<string, unknown>, key: 'value' }];
  for (;;) {
    const { holder, key } = places.at(-1)!;
    const value = holder[key];
    if (value === null || typeof value !== 'object') break;
    const keys = Object.keys(value);
    if (keys.length === 0) break;
    places.push({ holder: value as Record<string, unknown>, key: keys[prng.below(keys.length)]! });
  }
  // The whole is changed by bytes already.
  return places.length > 1 ? places.slice(1) : places;
}

function changePlace(
  holder: Record<string, unknown>,
  key: string,
  { other, prng }: { other: Place; prng: Prng },
): void {
  const value = holder[key];
  switch (prng.below(6)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete holder[key];
      return;
    case 1:
      if (Array.isArray(holder)) holder.push(value);
      else holder[`${key}_`] = value;
      return;
    case 2:
      // What holds itself is no JSON.
      holder[key] = structuredClone(other.holder[other.key]);
      return;
    case 3:
      holder[key] = typeof value === 'number' ? value * [-1, 2, 0.5, 1e9][prng.below(4)]! : String(value);
      return;
    default:
      holder[key] = structuredClone(ODD[prng.below(ODD.length)]);
  }
}
