/** @file Whether a tokenizer and the embeddings belong together: each token has one number, and each number a row. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { readJsonObject } from '../formats/json.ts';

/** The largest vocabularies have a third of it. */
const MAX_TOKENIZER_BYTES = 128_000_000;
/** Kinds of tokenizer whose words are looked up as they are written here. */
const KINDS: readonly unknown[] = [undefined, null, 'WordPiece', 'BPE', 'Unigram'];

interface Words {
  readonly type?: unknown;
  readonly vocab?: unknown;
  readonly unk_token?: unknown;
  readonly unk_id?: unknown;
}

/** Throws a UserError that names the first token or field that is wrong; a file that is missing is said where it is opened. */
export function checkTokenizer(folder: string, rows: number): void {
  const path = join(folder, 'tokenizer.json');
  if (!existsSync(path)) return;
  const {
    model,
    added_tokens: added,
    normalizer,
  } = readJsonObject(path, 'the tokenizer of a Hugging Face model', MAX_TOKENIZER_BYTES);
  const fail = (problem: string): never => {
    throw new UserError('incompatible', `${path}: ${problem}`);
  };
  if (model === null || typeof model !== 'object') return fail('has no model; wanted the tokenizer of a BERT');
  const { type, vocab, unk_token: unknown, unk_id: unknownId } = model as Words;
  if (!KINDS.includes(type)) fail(`model.type is ${shown(type)}; wanted WordPiece, BPE or Unigram`);
  const numbers = new Map<string, unknown>();
  const tokens = new Map<unknown, string>();
  const take = (token: string, id: unknown): void => {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= rows)
      fail(
        `token ${shown(token)} has the number ${shown(id)}; the embeddings have ${rows} rows, from 0: tokenizer and weights do not belong together, or tokens were added and the embeddings not resized`,
      );
    if (numbers.has(token) && numbers.get(token) !== id)
      fail(`token ${shown(token)} has the numbers ${numbers.get(token)} and ${id}; wanted one`);
    if (tokens.has(id) && tokens.get(id) !== token)
      fail(`${id} is the number of ${shown(tokens.get(id))} and of ${shown(token)}; wanted one token`);
    numbers.set(token, id);
    tokens.set(id, token);
  };
  for (const [token, id] of wordsOf(vocab)) take(token, id);
  if (added !== undefined && !Array.isArray(added)) return fail(`added_tokens is ${shown(added)}; wanted a list`);
  for (const entry of (added ?? []) as ({ content?: unknown; id?: unknown } | null)[]) {
    if (typeof entry?.content !== 'string')
      return fail(`added_tokens holds ${shown(entry)}; wanted tokens with content and id`);
    take(entry.content, entry.id);
  }
  if ((type === 'WordPiece' || typeof unknown === 'string') && !numbers.has(String(unknown)))
    fail(`model.unk_token is ${shown(unknown)}, which is no token of it; wanted the token for unknown words`);
  if (unknownId !== undefined && unknownId !== null && !tokens.has(unknownId))
    fail(`model.unk_id is ${shown(unknownId)}, which is the number of no token; wanted that of unknown words`);
  checkCase(folder, normalizer);
}

/** A value in a line: a file can hold anything, of any length. */
function shown(value: unknown): string | undefined {
  return JSON.stringify(value)?.slice(0, 80);
}

/** A vocabulary as pairs, from an object by token or a list by number. */
function wordsOf(vocab: unknown): [token: string, id: unknown][] {
  if (Array.isArray(vocab)) return vocab.map((entry, id) => [String((entry as unknown[] | null)?.[0]), id]);
  return Object.entries((vocab ?? {}) as Record<string, unknown>);
}

/** Whether capitals are told apart must be said alike: transformers goes by one of the files, others by the other. */
function checkCase(folder: string, normalizer: unknown): void {
  const path = join(folder, 'tokenizer_config.json');
  if (!existsSync(path)) return;
  const { do_lower_case: asked } = readJsonObject(path, 'the settings of a Hugging Face tokenizer');
  const { type, lowercase } = (normalizer ?? {}) as { type?: unknown; lowercase?: unknown };
  if (type !== 'BertNormalizer' || typeof asked !== 'boolean' || typeof lowercase !== 'boolean' || asked === lowercase)
    return;
  throw new UserError(
    'incompatible',
    `${path}: do_lower_case is ${asked}, lowercase in tokenizer.json is ${lowercase}; wanted the same: save the tokenizer again`,
  );
}
