/** @file The merges of a SentencePiece vocabulary, which has scores instead: as Hugging Face's converter lists them. */

export type Merge = readonly [left: string, right: string];

/** How a vocabulary writes a byte of a character that it lacks. */
export function spellingOf(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

const NORMAL = 1;
const USER_DEFINED = 4;

/**
 * Every way to make a token of two others, best score first; of one score the longest left part first, then the longest
 * right part, then in the order of the vocabulary. Only of tokens that are text, in which no control token arises.
 * Null where there are more than `most`.
 */
export function mergesOf(
  { names, types, byName }: { names: readonly string[]; types: readonly number[]; byName: ReadonlyMap<string, number> },
  scores: readonly number[],
  most: number,
): Merge[] | null {
  const textId = (name: string): number | undefined => {
    const id = byName.get(name);
    return id !== undefined && (types[id] === NORMAL || types[id] === USER_DEFINED) ? id : undefined;
  };
  const order = [...names.keys()].filter((id) => textId(names[id]!) !== undefined);
  order.sort((a, b) => scores[b]! - scores[a]!);
  const merges: Merge[] = [];
  for (let from = 0; from < order.length; ) {
    const score = scores[order[from]!]!;
    let to = from + 1;
    while (to < order.length && scores[order[to]!] === score) to++;
    const ways: Way[] = [];
    for (const id of order.slice(from, to)) {
      ways.push(...waysOf(names[id]!, textId));
      if (merges.length + ways.length > most) return null;
    }
    ways.sort((a, b) => b.lengths[0] - a.lengths[0] || b.lengths[1] - a.lengths[1]);
    for (const { left, right } of ways) merges.push([names[left]!, names[right]!]);
    from = to;
  }
  return merges;
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
