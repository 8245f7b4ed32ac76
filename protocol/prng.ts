/**
 * @file Seeded chance. sfc32 (Chris Doty-Humphrey, PractRand), seeded by a string hash; generators fork by name, so that
 * drawing more numbers in one place changes nothing in another.
 */

export interface Prng {
  /** A number in [0, 1) with 32 random bits. */
  readonly random: () => number;
  /** An integer in [0, bound). */
  readonly below: (bound: number) => number;
  /** Standard normal (Box and Muller 1958). */
  readonly normal: () => number;
  /** A generator of its own, the same for the same name whatever has been drawn before. */
  readonly fork: (name: string | number) => Prng;
  /** A shuffled copy (Fisher and Yates; Durstenfeld 1964). */
  readonly shuffle: <T>(items: readonly T[]) => T[];
}

/** A generator for a seed; the seed may be any text. */
export function createPrng(seed: string | number): Prng {
  const text = String(seed);
  const random = sfc32(hash32(text, 1), hash32(text, 2), hash32(text, 3));
  const below = (bound: number): number => Math.floor(random() * bound);
  return {
    random,
    below,
    normal: () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
    fork: (name) => createPrng(`${text}/${name}`),
    shuffle: (items) => {
      const out = [...items];
      for (let i = out.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [out[i], out[j]] = [out[j]!, out[i]!];
      }
      return out;
    },
  };
}

/** 32 well-mixed bits of a text (FNV-1a with a salt, then the MurmurHash3 finaliser). For spreading, not for security. */
export function hash32(text: string, salt = 0): number {
  let h = 0x811c9dc5 ^ Math.imul(salt, 0x9e3779b1);
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function sfc32(seedA: number, seedB: number, seedC: number): () => number {
  let [a, b, c, counter] = [seedA | 0, seedB | 0, seedC | 0, 1];
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return (t >>> 0) / 4294967296;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}
