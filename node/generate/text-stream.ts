/** @file Text as it is written: a character that several tokens spell comes out once it is whole. */

export interface TextStream {
  /** Takes a token; gives the text that is certain now. */
  push(id: number): string;
  /** What is left at the end, whole or not. */
  end(): string;
}

/** Tokens before the first, so that the space it may begin with is kept. */
const BEFORE = 4;
/** What a decoder gives for bytes that are no character. */
const BROKEN = '\ufffd';
/** A character is four bytes at most; what stays broken longer is. */
const MAX_OPEN = 8;

/** Decodes what follows `prompt`, a few tokens at a time: those already said, and those that are open. */
export function createTextStream(decode: (ids: readonly number[]) => string, prompt: readonly number[]): TextStream {
  let said = prompt.slice(-BEFORE);
  let open: number[] = [];
  const rest = (): string => decode([...said, ...open]).slice(decode(said).length);
  const say = (text: string): string => {
    said = [...said, ...open].slice(-BEFORE);
    open = [];
    return text;
  };
  return {
    push: (id) => {
      open.push(id);
      const text = rest();
      return text.endsWith(BROKEN) && open.length < MAX_OPEN ? '' : say(text);
    },
    end: () => say(open.length === 0 ? '' : rest()),
  };
}
