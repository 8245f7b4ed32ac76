/**
 * @file The chat template of a model, in Jinja: messages as the text and tokens it was trained on. The one door to the template
 * engine. What a message says is ordinary text: only the template writes special tokens.
 */
import { Template } from '@huggingface/jinja';
import { messageOf, UserError } from '../errors.ts';

export interface Message {
  /** Such as system, user, assistant; which there are, the template knows. */
  readonly role: string;
  readonly content: string;
}

/** What is needed of the model's tokenizer. */
export interface ChatTokenizer {
  /** A text cut at the special tokens it names. */
  cut(text: string): (string | { readonly id: number; readonly content: string })[];
  encode(text: string, isContinued?: boolean): number[];
  tokenOf(id: number): string;
  readonly begin: readonly number[];
  readonly eos: readonly number[];
}

/** Tokens of a chat, and which of them the assistant wrote, the token that ends its turn among them. */
export interface ChatTokens {
  readonly ids: readonly number[];
  readonly isAssistants: readonly boolean[];
}

export interface ChatTemplate {
  /** As the template writes it; where `isOpen`, up to where the assistant begins to answer. */
  render(messages: readonly Message[], isOpen: boolean): string;
  /** The same in tokens: what a message says is tokenised apart from what stands around the assistant's words. */
  encode(messages: readonly Message[], isOpen: boolean): ChatTokens;
}

/** Throws a UserError where the source is no template; so do its functions on messages that it refuses. */
export function createChatTemplate(path: string, source: string, tokenizer: ChatTokenizer): ChatTemplate {
  const refused = (error: unknown): UserError =>
    new UserError(
      'incompatible',
      `${path}: the model's chat template refuses: ${messageOf(error).split('\n')[0]!.slice(0, 200)}`,
    );
  const attempt = <T>(run: () => T): T => {
    try {
      return run();
    } catch (error) {
      throw refused(error);
    }
  };
  const template = attempt(() => new Template(source));
  const variables = {
    bos_token: tokenizer.begin.map((id) => tokenizer.tokenOf(id)).join(''),
    eos_token: tokenizer.eos[0] === undefined ? '' : tokenizer.tokenOf(tokenizer.eos[0]),
  };
  const render = (messages: readonly Message[], isOpen: boolean): string =>
    attempt(() => template.render({ messages, add_generation_prompt: isOpen, ...variables }));
  return {
    render,
    encode: (messages, isOpen) => {
      const marks = unusedCharacters(3, [source, ...messages.map(({ content }) => content)]);
      const guard = createGuard(marks[0]!, tokenizer);
      const guarded = messages.map(({ role, content }) => ({ role, content: guard.hide(content) }));
      const marked = markTurns(guarded, marks[1]!, marks[2]!, (m) => render(m, isOpen));
      if (marked === null) throw refused('what the assistant says cannot be found in what it writes');
      return tokensOf(tokenizer.cut(marked), { tokenizer, show: guard.show, open: marks[1]!, close: marks[2]! });
    },
  };
}

/** Characters for private use that occur in none of the texts. */
function unusedCharacters(count: number, texts: readonly string[]): string[] {
  const found: string[] = [];
  for (let code = 0xe000; found.length < count; code++) {
    const character = String.fromCodePoint(code);
    if (!texts.some((text) => text.includes(character))) found.push(character);
  }
  return found;
}

/** Writes the special tokens that a text names so that they are not taken for such, and back. */
function createGuard(mark: string, tokenizer: ChatTokenizer) {
  const names: string[] = [];
  return {
    hide: (text: string): string => {
      const found = tokenizer.cut(text).flatMap((part) => (typeof part === 'string' ? [] : [part.content]));
      let hidden = text;
      for (const name of [...new Set(found)].sort((a, b) => b.length - a.length)) {
        hidden = hidden.replaceAll(name, `${mark}${names.length}${mark}`);
        names.push(name);
      }
      return hidden;
    },
    show: (text: string): string =>
      text
        .split(mark)
        .map((part, i) => (i % 2 === 1 ? names[Number(part)]! : part))
        .join(''),
  };
}

/** What the template writes, with marks around the assistant's words; null where marks would change what it writes. */
function markTurns(
  messages: readonly Message[],
  open: string,
  close: string,
  render: (messages: readonly Message[]) => string,
): string | null {
  const plain = render(messages);
  // Most templates take away the white space around what is said.
  for (const tidy of [(text: string) => text, (text: string) => text.trim()]) {
    const marked = render(
      messages.map((m) =>
        m.role === 'assistant' ? { role: m.role, content: `${open}${tidy(m.content)}${close}` } : m,
      ),
    );
    if (marked.replaceAll(open, '').replaceAll(close, '') === plain) return marked;
  }
  return null;
}

function tokensOf(
  parts: ReturnType<ChatTokenizer['cut']>,
  {
    tokenizer,
    show,
    open,
    close,
  }: { tokenizer: ChatTokenizer; show(text: string): string; open: string; close: string },
): ChatTokens {
  const [ids, isAssistants]: [number[], boolean[]] = [[], []];
  let [isInside, hasEnded] = [false, false];
  const take = (more: readonly number[], isTheirs: boolean): void => {
    ids.push(...more);
    isAssistants.push(...more.map(() => isTheirs));
    hasEnded = false;
  };
  for (const part of parts) {
    if (typeof part !== 'string') {
      take([part.id], isInside || hasEnded);
      continue;
    }
    const pieces = part.split(new RegExp(`([${open}${close}])`));
    for (const piece of pieces) {
      if (piece === open) isInside = true;
      else if (piece === close) [isInside, hasEnded] = [false, true];
      else if (piece !== '') take(tokenizer.encode(show(piece), ids.length > 0), isInside);
    }
  }
  return { ids, isAssistants };
}
