/** @file What an architecture computes, as a text: the same for two configurations that say the same in other words. */

/** Sizes that limit an input and change nothing of what is computed, and settings that others were made from. */
const WITHOUT_EFFECT = ['positions', 'theta', 'biases', 'windows', 'defaults'];

/** JSON of the settings a graph is built from, keys sorted, numbers as float32 has them; functions and what is not set are left out. */
export function fingerprintOf(settings: object): string {
  return JSON.stringify(plain(settings));
}

function plain(value: unknown): unknown {
  if (typeof value === 'number') return Math.fround(value);
  if (ArrayBuffer.isView(value)) return [...(value as Float32Array)];
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  const kept = Object.entries(value).filter(([key, one]) => one !== null && !WITHOUT_EFFECT.includes(key));
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, plain(one)]));
}
