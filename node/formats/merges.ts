/** @file The merges of a SentencePiece vocabulary, which has scores instead: as Hugging Face's converter lists them. */

export type Merge = readonly [left: string, right: string];

/** How a vocabulary writes a byte of a character that it lacks. */
export function spellingOf(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

const NORMAL = 1;
const USER_DEFINED = 4;

interface Scored {
  readonly names: readonly string[];
  readonly types: readonly number[];
  readonly byName: ReadonlyMap<string, number>;
}

/** The number of a token that is text; undefined where there is none. */
function textIds({ types, byName }: Scored): (name: string) => number | undefined {
  return (name) => {
    const id = byName.get(name);
    return id !== undefined && (types[id] === NORMAL || types[id] === USER_DEFINED) ? id : undefined;
  };
}

/** The tokens that are text, best score first, of one score in the order of the vocabulary. */
function byScore({ types }: Scored, scores: readonly number[]): Int32Array {
  const order = Int32Array.from(types.keys()).filter((id) => types[id] === NORMAL || types[id] === USER_DEFINED);
  return order.sort((a, b) => scores[b]! - scores[a]! || a - b);
}

/**
 * Every way to make a token of two others, best score first; of one score the longest left part first, then the longest
 * right part, then in the order of the vocabulary. Only of tokens that are text, in which no control token arises.
 * Null where there are more than `most`.
 */
export function mergesOf(tokens: Scored, scores: readonly number[], most: number): Merge[] | null {
  const { names } = tokens;
  const textId = textIds(tokens);
  const order = byScore(tokens, scores);
  const merges: Merge[] = [];
  for (let from = 0; from < order.length; ) {
    const score = scores[order[from]!]!;
    let to = from + 1;
    while (to < order.length && scores[order[to]!] === score) to++;
    const ways: Way[] = [];
    for (const id of order.subarray(from, to)) {
      ways.push(...waysOf(names[id]!, textId));
      if (merges.length + ways.length > most) return null;
    }
    ways.sort((a, b) => b.lengths[0] - a.lengths[0] || b.lengths[1] - a.lengths[1]);
    for (const { left, right } of ways) merges.push([names[left]!, names[right]!]);
    from = to;
  }
  return merges;
}

/** The place of a merge among all, by its parts as JSON has them; undefined where they do not merge. */
export interface Ranks {
  get(pair: string): number | undefined;
}

/** More characters than a token that is merged can have. */
const LONGEST = 1024;

/**
 * The order of mergesOf without the list, which for a vocabulary of 262,144 words takes seconds: told by the score of what is
 * made. Null where two tokens have one score, so that it takes more to order their merges.
 */
export function ranksOf(tokens: Scored, scores: readonly number[]): Ranks | null {
  const order = byScore(tokens, scores);
  const places = new Int32Array(tokens.names.length);
  let before: number | null = null;
  for (const [place, id] of order.entries()) {
    places[id] = place;
    // Those that a user defined are found in a text before anything is merged: none of theirs is left to be made.
    if (tokens.types[id] !== NORMAL) continue;
    if (before !== null && scores[before] === scores[id]) return null;
    before = id;
  }
  const textId = textIds(tokens);
  return {
    get: (pair) => {
      const [left, right] = partsOf(pair);
      const made = textId(left + right);
      if (made === undefined || textId(left) === undefined || textId(right) === undefined) return undefined;
      return places[made]! * LONGEST + LONGEST - 1 - lengthOf(left);
    },
  };
}

/** Of a list of two texts in JSON; without escapes it is cut where its one comma between quotes stands. */
function partsOf(pair: string): [left: string, right: string] {
  if (pair.includes('\\')) return JSON.parse(pair);
  const comma = pair.indexOf('","', 2);
  return [pair.slice(2, comma), pair.slice(comma + 3, -2)];
}

function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

interface Way {
  readonly left: number;
  readonly right: number;
  /** In characters. */
  readonly lengths: readonly [left: number, right: number];
}

/** The pairs of tokens of which a name is made. */
function waysOf(name: string, textId: (name: string) => number | undefined): Way[] {
  const ways: Way[] = [];
  const characters = [...name];
  for (let i = 1, at = 0; i < characters.length; i++) {
    at += characters[i - 1]!.length;
    const left = textId(name.slice(0, at));
    const right = left === undefined ? undefined : textId(name.slice(at));
    if (left !== undefined && right !== undefined) ways.push({ left, right, lengths: [i, characters.length - i] });
  }
  return ways;
}
