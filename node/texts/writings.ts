/**
 * @file What a row may hold where writing is learned: a text, a prompt with its completion, or the turns of a chat, by the names
 * that TRL's data sets have.
 */
import { UserError } from '../errors.ts';
import { type Columns, findColumns, foldName } from './columns.ts';

/** What of a row is written: all of a text, a completion and not its prompt, of a chat the turns of the assistant. */
export type Writing =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'completion'; readonly prompt: string; readonly completion: string }
  | { readonly type: 'chat'; readonly turns: readonly Turn[] };

export interface Turn {
  readonly role: string;
  readonly content: string;
}

export type Form = Writing['type'];

/** Whose turns are learned. */
export const ASSISTANT = 'assistant';

/** How the rows of a file are to be read. */
export interface FormColumns extends Columns {
  readonly form: Form;
}

/**
 * Finds the form by the names of a file: `messages`, else `prompt` and `completion`, else a column of texts. Throws a UserError
 * where there is none.
 */
export function findForm(names: readonly string[], path: string, textColumn: string | undefined): FormColumns {
  const named = (wanted: string): string | undefined => names.find((name) => foldName(name) === wanted);
  const [messages, prompt, completion] = ['messages', 'prompt', 'completion'].map(named);
  const without = (...read: string[]): string[] => names.filter((name) => !read.includes(name));
  if (textColumn === undefined && messages !== undefined)
    return { form: 'chat', text: messages, label: null, others: without(messages) };
  if (textColumn === undefined && prompt !== undefined && completion !== undefined)
    return { form: 'completion', text: prompt, label: null, others: without(prompt, completion) };
  try {
    const asked = { labelColumn: 'none', ...(textColumn === undefined ? {} : { textColumn }) };
    return { form: 'text', ...findColumns(names, path, asked) };
  } catch (error) {
    if (textColumn !== undefined || !(error instanceof UserError) || !error.message.includes('wanted a header'))
      throw error;
    const shown = names.slice(0, 8).map((name) => foldName(name) || '(empty)');
    throw new UserError(
      'usage',
      `${path}:1: names are ${shown.join(', ') || 'none'}${names.length > 8 ? ', ...' : ''}; wanted text, or prompt and completion, or messages, or --text-column NAME`,
    );
  }
}

/** Reads what a row holds, its values given by name; or says what is wrong with it. */
export function readWriting(form: Exclude<Form, 'text'>, valueUnder: (name: string) => unknown): Writing | string {
  if (form === 'chat') return readTurns(valueUnder('messages'));
  const [prompt, completion] = [valueUnder('prompt'), valueUnder('completion')];
  if (typeof prompt !== 'string') return `prompt is ${kindOf(prompt)}; wanted a text`;
  if (typeof completion !== 'string' || completion.trim() === '')
    return `completion is ${completion === '' ? 'empty' : kindOf(completion)}; wanted some text`;
  return { type: 'completion', prompt, completion };
}

function readTurns(messages: unknown): Writing | string {
  if (!Array.isArray(messages) || messages.length === 0)
    return `messages is ${kindOf(messages)}; wanted a list of {"role": ..., "content": ...}`;
  for (const [i, message] of messages.entries()) {
    const problem = turnMistake(message);
    if (problem) return `messages[${i}] ${problem}`;
  }
  const turns = messages.map(({ role, content }: Turn): Turn => ({ role, content }));
  if (!turns.some(({ role, content }) => role === ASSISTANT && content.trim() !== ''))
    return 'messages has no turn of the assistant; wanted one to learn';
  return { type: 'chat', turns };
}

function turnMistake(message: unknown): string | null {
  if (message === null || typeof message !== 'object' || Array.isArray(message))
    return `is ${kindOf(message)}; wanted {"role": ..., "content": ...}`;
  const { role, content, ...others } = message as Record<string, unknown>;
  if (typeof role !== 'string' || role === '')
    return `has a role that is ${kindOf(role)}; wanted user, assistant or system`;
  if (typeof content !== 'string') return `has a content that is ${kindOf(content)}; wanted a text`;
  const other = Object.keys(others).find((key) => others[key] !== null);
  return other === undefined ? null : `has ${JSON.stringify(other.slice(0, 40))}; wanted role and content alone`;
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'symbol') return 'there twice';
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return typeof value === 'object' ? 'an object' : JSON.stringify(value).slice(0, 40);
}

/** All that is written in it, in order: what tells it from other rows. */
export function wholeText(writing: Writing): string {
  switch (writing.type) {
    case 'text':
      return writing.text;
    case 'completion':
      return writing.prompt + writing.completion;
    case 'chat':
      return writing.turns.map(({ role, content }) => `${role}: ${content}`).join('\n');
  }
}
