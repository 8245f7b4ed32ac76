/** @file What a model is called on the Hub, and which of its files it is made of; a name that leads elsewhere is refused. */
import { UserError } from '../errors.ts';
import { nearest } from '../nearest.ts';

export interface HubName {
  /** ORG/NAME. */
  readonly name: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

/** What the weights of a model are kept in. */
export type Weights =
  | { readonly type: 'safetensors'; readonly file: string }
  /** Which files hold them stands in this one. */
  | { readonly type: 'sharded'; readonly file: string }
  /** One file, or all parts of one. */
  | { readonly type: 'gguf'; readonly files: readonly string[] };

/** Of a name, and of a path that a server lists; what file systems can hold. */
const MAX_NAME = 96;
const MAX_PATH = 512;

/** The revision where none is named. */
export const MAIN = 'main';

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$/;
const REVISION = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:\/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$/;

/** Reads ORG/NAME or ORG/NAME@REVISION. Throws a UserError for anything else. */
export function readHubName(text: string): HubName {
  const at = text.indexOf('@');
  const [name, revision] = at < 0 ? [text, MAIN] : [text.slice(0, at), text.slice(at + 1)];
  const parts = name.split('/');
  const isName =
    parts.length === 2 && parts.every((part) => NAME.test(part) && !/--|\.\./.test(part) && part.length <= MAX_NAME);
  const isRevision = REVISION.test(revision) && !/\.\.|\.lock$|\.$/.test(revision) && revision.length <= 2 * MAX_NAME;
  if (isName && isRevision) return { name, revision };
  throw new UserError(
    'usage',
    `model: got ${JSON.stringify(text.slice(0, 2 * MAX_NAME))}; wanted org/name or org/name@revision, as the address of its page on the Hub has it`,
  );
}

/** A model of the Hub, and which of its GGUF files is meant, where one is. */
export interface ModelName extends HubName {
  readonly gguf?: string;
}

/** Reads org/name[@revision][:FILE.gguf]; null where a text is none. */
export function readModelName(text: string): ModelName | null {
  const [, name = '', gguf] = /^([^:]*)(?::(.+\.gguf))?$/i.exec(text) ?? [];
  try {
    return { ...readHubName(name), ...(gguf === undefined ? {} : { gguf }) };
  } catch {
    return null;
  }
}

/** Whether a path that a server lists stays inside the folder it is put into, on every system. */
export function isSafePath(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (path.length > MAX_PATH || /[\\:*?"<>|\x00-\x1f\x7f]/.test(path)) return false;
  return path.split('/').every((part) => part !== '' && !/^\.+$/.test(part) && !/[. ]$/.test(part));
}

/** Files beside the weights that say how a model computes, reads and writes: all that are there come along. */
const COMPANIONS = [
  ...['config.json', 'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'generation_config.json'],
  ...['chat_template.jinja', 'chat_template.json'],
];

/** Without these, beside safetensors, nothing can be computed. */
const NEEDED = ['config.json', 'tokenizer.json'];

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/** The companions among the files of a repository. */
export function companionsIn(paths: readonly string[]): string[] {
  return COMPANIONS.filter((path) => paths.includes(path));
}

/**
 * Which weights to take: the GGUF file asked for, else safetensors, else the only GGUF. Pickled weights run code as they are
 * opened, so they are never taken. Throws a UserError where there is nothing to take, or too much to choose from.
 */
export function chooseWeights(paths: readonly string[], where: string, gguf?: string): Weights {
  const ggufs = paths.filter((path) => /\.gguf$/i.test(path) && !/(^|\/)mmproj/i.test(path));
  if (gguf !== undefined) {
    if (ggufs.includes(gguf)) return { type: 'gguf', files: partsOf(gguf, paths, where) };
    const like = nearest(gguf, ggufs);
    throw new UserError(
      'usage',
      `${where}: has no ${gguf}; ${like === null ? `wanted ${listed(ggufs, 'a GGUF file, of which there is none')}` : `did you mean ${like}?`}`,
    );
  }
  if (paths.includes(SINGLE) || paths.includes(INDEX)) {
    const gone = NEEDED.filter((path) => !paths.includes(path));
    if (gone.length > 0) throw new UserError('incompatible', `${where}: has no ${gone.join(' and no ')}; ${ANOTHER}`);
    return paths.includes(SINGLE) ? { type: 'safetensors', file: SINGLE } : { type: 'sharded', file: INDEX };
  }
  const whole = ggufs.filter((path) => (PART.exec(path)?.[2] ?? FIRST) === FIRST);
  if (whole.length === 1) return { type: 'gguf', files: partsOf(whole[0]!, paths, where) };
  if (whole.length > 1)
    throw new UserError('usage', `${where}: has ${whole.length} GGUF files; choose ${listed(whole)}`);
  const pickled = paths.find((path) => /\.(bin|pt|pth|ckpt)$/i.test(path));
  const only = pickled ? `only ${pickled}, which may run code as it is opened` : 'no weights that can be read here';
  throw new UserError('incompatible', `${where}: has ${only}; wanted ${SINGLE} or a GGUF file: ${ANOTHER}`);
}

const ANOTHER = 'choose another revision, or another model';

/** NAME-00001-of-00003.gguf */
const PART = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;
const FIRST = '00001';

function partsOf(file: string, paths: readonly string[], where: string): string[] {
  const part = PART.exec(file);
  if (!part) return [file];
  const count = Number(part[3]);
  const parts = Array.from({ length: count }, (_, i) =>
    file.replace(PART, `$1-${String(i + 1).padStart(5, '0')}-of-$3${file.slice(-5)}`),
  );
  const gone = parts.find((path) => !paths.includes(path));
  if (gone === undefined && count > 0) return parts;
  throw new UserError(
    'incompatible',
    `${where}: ${gone ?? file} is one of ${count} parts that are not all there; ${ANOTHER}`,
  );
}

function listed(names: readonly string[], none = ''): string {
  if (names.length === 0) return none;
  return `one of ${names.slice(0, 40).join(', ')}${names.length > 40 ? `, or ${names.length - 40} more` : ''}`;
}

/** The files that an index of shards names. Throws a UserError where it names none, or one that is not there. */
export function shardsIn(text: string, paths: readonly string[], where: string): string[] {
  const map = parsed(text)?.weight_map;
  const names = map !== null && typeof map === 'object' ? [...new Set(Object.values(map))] : [];
  const fail = (problem: string): never => {
    throw new UserError('incompatible', `${where}: ${INDEX} ${problem}; ${ANOTHER}`);
  };
  if (names.length === 0) return fail('names no files in weight_map');
  for (const name of names) {
    const shown = JSON.stringify(name)?.slice(0, 100);
    if (typeof name !== 'string' || !isSafePath(name) || !name.endsWith('.safetensors'))
      fail(`names ${shown}; wanted a .safetensors file beside it`);
    else if (!paths.includes(name)) fail(`names ${shown}, which is not there`);
  }
  return (names as string[]).sort();
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return null;
  }
}
