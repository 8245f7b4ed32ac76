/**
 * @file The head of a long text: as much of it as gives its first tokens, exactly those that the whole would give, for
 * tokenizers that normalise, split and match words as BERT does (Devlin et al. 2019).
 */

/** The first `count` ids of a text and maybe some more; `encode` tokenises a text as a whole. */
export type Head = (text: string, count: number, encode: (text: string) => number[]) => number[];

/** How much is tokenised first; then twice as much each time, until there are tokens enough. */
const CHARS_A_TOKEN = 8;
const FIRST_CHARS = 256;
/** What is kept of the end of an overlong word. */
const TAIL_CHARS = 64;

/** The characters that BertNormalizer puts spaces around; those beyond the first plane it leaves as they are. */
const CHINESE = '\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff';
/**
 * Before these a text can be cut: each ends a word, is never removed, and hides what follows from what stands before (a
 * case-ignorable character does not: whether a sigma before a full stop is a final one is told by what comes after it).
 */
const SAFE = '[\\t\\n\\r]|(?!\\p{CI}|\\p{C})[\\s\\p{P}$+<=>|~]';
const SAFE_AFTER_NO_SIGMA = '(?<!\\u03a3\\p{CI}*)\\p{P}';

/** Characters of a word that no normaliser takes away. */
const LASTING = /(?!\ufffd)[\p{L}\p{N}\p{So}]/gu;

/** Null where the tokenizer is of another kind, whose texts are tokenised as a whole. */
export function createHead(file: object, config: object): Head | null {
  const { normalizer, pre_tokenizer, model } = file as Record<string, Record<string, unknown> | null>;
  const other = config as { remove_space?: unknown; do_lowercase_and_remove_accent?: unknown };
  if (normalizer?.type !== 'BertNormalizer' || pre_tokenizer?.type !== 'BertPreTokenizer') return null;
  if ((model?.type ?? 'WordPiece') !== 'WordPiece' || other.remove_space || other.do_lowercase_and_remove_accent)
    return null;
  const longest = Number(model?.max_input_chars_per_word ?? 100);
  const chinese = normalizer.handle_chinese_chars ? CHINESE : '';
  const boundary = new RegExp(`${SAFE}|${SAFE_AFTER_NO_SIGMA}${chinese && `|[${chinese}]`}`, 'uy');
  const wordEnd = new RegExp(`[^\\p{L}\\p{M}\\p{N}\\p{So}\\u200d]${chinese && `|[${chinese}]`}`, 'gu');
  return (whole, count, encode) => {
    // A run of spaces is one: nothing of it is a token.
    const text = whole.length > FIRST_CHARS ? whole.replace(/[ \t\n\r]{2,}/g, ' ') : whole;
    let kept = '';
    let at = 0;
    for (let size = FIRST_CHARS + CHARS_A_TOKEN * count; at + size < text.length; size *= 2) {
      const end = wholeCharacter(text, at + size);
      const cut = lastBoundary(text, boundary, at, end);
      if (cut > at) {
        kept += text.slice(at, cut);
        at = cut;
        const ids = encode(kept);
        if (ids.length >= count) return ids;
        continue;
      }
      const next = endOfOverlong(text, wordEnd, { at, end, longest });
      if (next <= end) continue;
      kept += text.slice(at, end);
      at = next;
    }
    return encode(kept + text.slice(at));
  };
}

/** The last place in (at, end] before which the text can be cut; `at` where there is none. */
function lastBoundary(text: string, boundary: RegExp, at: number, end: number): number {
  for (let i = end; i > at; i--) {
    boundary.lastIndex = i;
    if (!isLowSurrogate(text, i) && boundary.test(text)) return i;
  }
  return at;
}

/**
 * A word of more than `longest` characters is one unknown token however it goes on, so its middle can be left out: where
 * the text goes on to be read. 0 where [at, end) is not the beginning of such a word and nothing else.
 */
function endOfOverlong(
  text: string,
  wordEnd: RegExp,
  { at, end, longest }: { at: number; end: number; longest: number },
): number {
  wordEnd.lastIndex = at + 1;
  const found = wordEnd.exec(text)?.index ?? text.length;
  if (found < end) return 0;
  if ((text.slice(at + 1, end).match(LASTING)?.length ?? 0) <= longest) return 0;
  const tail = wholeCharacter(text, found - TAIL_CHARS);
  // A sigma after the word looks back at its last letter, past what is case-ignorable, so the tail must hold one.
  return /(?!\p{CI})[\p{L}\p{N}\p{So}]/u.test(text.slice(tail, found)) ? tail : 0;
}

/** The place, or the one before where that is inside a character of two code units. */
function wholeCharacter(text: string, at: number): number {
  return isLowSurrogate(text, at) ? at - 1 : at;
}

function isLowSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code < 0xe000;
}
