/** @file As much of the beginning of a text as its place has room for, found without tokenising much more than that. */

interface ExcerptOptions {
  /** Most tokens of the text with what stands around it, and those that are left for the text. */
  readonly most: number;
  readonly room: number;
  /** Whether one space is as good as many. */
  readonly ignoresSpaces: boolean;
  /** The tokens of a text with what stands around it. */
  readonly tokenise: (text: string) => number[];
}

/** Words, long ones in pieces. */
const UNIT = /\s*\S{1,24}/gu;
/** A text of so few characters for each token is tokenised whole before anything is cut. */
const USUAL_CHARS = 8;
/** What stands beyond so many is cut in any case: no text has tokens that long, though unknown words are of any length. */
const MOST_CHARS = 64;

/**
 * The tokens of a text, of so many of its first words as there is room for. The same text gives the same tokens everywhere.
 * `cut`: whether some of it is left out.
 */
export function longestBeginning(whole: string, options: ExcerptOptions): { result: number[]; cut: boolean } {
  const { most, room, ignoresSpaces, tokenise } = options;
  const text = ignoresSpaces && whole.length > USUAL_CHARS * room ? whole.replace(/[ \t\n\r]{2,}/g, ' ') : whole;
  if (text.length <= USUAL_CHARS * room) {
    const result = tokenise(text);
    if (result.length <= most) return { result, cut: false };
  }
  const considered = text.slice(0, MOST_CHARS * room);
  const ends = [...considered.matchAll(UNIT)].map((match) => match.index + match[0].length);
  // White space at the end belongs to the last word; a word that goes on is not known to its end.
  if (considered.length === text.length && ends.length > 0) ends[ends.length - 1] = text.length;
  else if (ends.at(-1) === considered.length) ends.pop();
  const of = (count: number): number[] => tokenise(text.slice(0, ends[count - 1] ?? 0));
  const found = largestThatFits(of, { count: ends.length, first: room, most });
  if (found.count > 0) return { result: found.result, cut: ends[found.count - 1]! < text.length };
  const characters = [...text.slice(0, ends[0] ?? 0)];
  const part = (count: number): number[] => tokenise(characters.slice(0, count).join(''));
  return { result: largestThatFits(part, { count: characters.length, first: room, most }).result, cut: text !== '' };
}

/** Of what grows with a number the largest of at most `most` tokens: doubled from `first`, then narrowed down. */
function largestThatFits(
  of: (count: number) => number[],
  { count, first, most }: { count: number; first: number; most: number },
): { count: number; result: number[] } {
  let low = { count: 0, result: of(0) };
  let high: { count: number; tokens: number } | null = null;
  for (let next = Math.min(first, count), tries = 0; low.count < count; tries++) {
    const result = of(next);
    if (result.length <= most) low = { count: next, result };
    else high = { count: next, tokens: result.length };
    if (high === null) {
      next = Math.min(2 * next, count);
      continue;
    }
    const between = high.count - low.count;
    if (between <= 1) break;
    // As long as the words between are alike, the place is told by their tokens; halves where they are not.
    const share = tries % 3 < 2 ? (most - low.result.length + 0.5) / (high.tokens - low.result.length) : 0.5;
    next = low.count + Math.min(between - 1, Math.max(1, Math.floor(share * between)));
  }
  return low;
}
