/**
 * @file Options that the command line leaves out, from the environment and from files: flags win over LORIKEET_*, that over
 * `--config FILE`, that over lorikeet.yaml in the current folder, that over the user's config.yaml, that over the defaults.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Command, Option } from 'commander';
import { SETTINGS } from '../../protocol/settings.ts';
import { UserError } from '../errors.ts';
import type { Schema } from '../schema.ts';

/** Commands whose options may stand elsewhere. */
export const LAYERED = ['up', 'join', 'demo'];
/** What a file cannot say: where it is itself. */
const NOT_IN_FILES = ['config', 'help', 'version'];
/** What the command line alone says: who joins takes the run's own base, unless told otherwise on purpose. */
const FLAGS_ALONE: Readonly<Record<string, readonly string[]>> = { join: ['base'] };

export const PROJECT_FILE = 'lorikeet.yaml';
const WANTED = 'YAML of options, with lines such as "rounds: 12"';

/** Where an option's value comes from. */
export interface Origin {
  readonly layer: 'environment' | 'config' | 'project' | 'user';
  /** As a message names it: a variable, or a file and its line. */
  readonly place: string;
}

/** By the option's name. */
export type Origins = ReadonlyMap<string, Origin>;

interface Layer {
  readonly layer: Origin['layer'];
  readonly values: Readonly<Record<string, unknown>>;
  readonly placeOf: (name: string) => string;
}

const known = new WeakMap<Command, Origins>();

/** A peer of a file that holds several: options by name. */
export type Entry = Readonly<Record<string, string | number | boolean>>;

const swarms = new WeakMap<Command, readonly Entry[]>();

/** The peers of the file that `--config` names; null where it is of one. */
export function swarmOf(command: Command): readonly Entry[] | null {
  return swarms.get(command) ?? null;
}

/** The most of one file: each is a process. */
const MAX_PEERS = 64;

/** Where the options of a command come from that no flag has given. */
export function originsOf(command: Command): Origins {
  const origins = [...(known.get(command) ?? [])].filter(([name]) => command.getOptionValueSource(name) === 'layer');
  return new Map(origins);
}

/** Where programs keep what this user has set. */
export function configFolder(): string {
  return process.env.XDG_CONFIG_HOME || join(homedir(), '.config');
}

/** The file of settings that this user keeps, whether it is there or not. */
export function userFile(): string {
  return join(configFolder(), 'lorikeet', 'config.yaml');
}

/**
 * Gives a command, before its flags are read, what environment and files say; `words` are those flags. What files say that is
 * for other commands is left out. Throws a UserError where a file cannot be read, or holds a name or a value that fits none.
 */
export async function applyLayers(command: Command, words: readonly string[]): Promise<void> {
  const options = command.options.filter(
    (option) => !option.negate && !(FLAGS_ALONE[command.name()] ?? []).includes(nameOf(option)),
  );
  const named = command.options.some(({ long }) => long === '--config')
    ? (valueIn(words, '--config') ?? process.env.LORIKEET_CONFIG)
    : undefined;
  const siblings = command.parent?.commands.filter((one) => LAYERED.includes(one.name())) ?? [command];
  const files = [
    ...(named ? [{ layer: 'config', path: named } as const] : []),
    ...(existsSync(PROJECT_FILE) ? [{ layer: 'project', path: PROJECT_FILE } as const] : []),
    ...(existsSync(userFile()) ? [{ layer: 'user', path: userFile() } as const] : []),
  ];
  const layers: Layer[] = [environment(options)];
  for (const { layer, path } of files) layers.push(await readLayer(layer, path, siblings));
  const peers = layers.find(({ layer }) => layer === 'config')?.values.peers;
  if (Array.isArray(peers)) {
    swarms.set(command, peers as Entry[]);
    for (const option of options) option.mandatory = false; // each says its own
  }
  const origins = new Map<string, Origin>();
  for (const option of options) {
    const name = nameOf(option);
    const found = layers.find(({ values }) => values[name] !== undefined && values[name] !== null);
    if (!found) continue;
    const value = found.values[name];
    command.setOptionValueWithSource(name, typeof value === 'boolean' ? value : String(value), 'layer');
    origins.set(name, { layer: found.layer, place: found.placeOf(name) });
  }
  known.set(command, origins);
}

/** What somebody has asked for here and now, by flags or in the file they name: options of another process. */
export function askedOptions(command: Command): Map<Option, string | boolean> {
  const origins = originsOf(command);
  const isAsked = (name: string): boolean =>
    command.getOptionValueSource(name) === 'cli' || origins.get(name)?.layer === 'config';
  const asked = command.options.filter(
    (option) => !option.negate && nameOf(option) !== 'config' && isAsked(nameOf(option)),
  );
  return new Map(asked.map((option) => [option, command.getOptionValue(nameOf(option)) as string | boolean]));
}

/** Names of settings that stand in the environment or in a file that no flag names. */
export function standingSettings(command: Command): string[] {
  return [...originsOf(command)]
    .filter(([name, { layer }]) => name in SETTINGS && layer !== 'config')
    .map(([name]) => name);
}

/** The same error, with the place where the option stands that it is about, unless that is a flag. */
export function placed(error: UserError, command: Command | undefined): UserError {
  const [start = '', flag, setting] = /^(?:--([\w-]+)|(?:[a-z]+: )?([a-zA-Z]+)): /.exec(error.message) ?? [];
  const name = setting ?? camel(flag ?? '');
  const origin = command && originsOf(command).get(name);
  return origin
    ? new UserError(error.mistake, `${origin.place}: ${name}: ${error.message.slice(start.length)}`)
    : error;
}

/** The variable of an option. */
export function variableOf(name: string): string {
  return `LORIKEET_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function nameOf(option: Option): string {
  return option.attributeName();
}

function camel(flag: string): string {
  return flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** What a flag among words says; undefined: it is not there. */
function valueIn(words: readonly string[], flag: string): string | undefined {
  const at = words.findIndex((word) => word === flag || word.startsWith(`${flag}=`));
  if (at < 0) return undefined;
  return words[at] === flag ? words[at + 1] : words[at]!.slice(flag.length + 1);
}

function environment(options: readonly Option[]): Layer {
  const values = options.flatMap((option) => {
    const text = process.env[variableOf(nameOf(option))];
    if (text === undefined || text === '' || nameOf(option) === 'help') return [];
    const isTruth = option.isBoolean() || (option.optional && /^(true|false|yes|no|on|off)$/i.test(text));
    return [[nameOf(option), isTruth ? truthOf(variableOf(nameOf(option)), text) : text]];
  });
  return { layer: 'environment', values: Object.fromEntries(values), placeOf: variableOf };
}

function truthOf(variable: string, text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  throw new UserError('usage', `${variable}: got ${JSON.stringify(text)}; wanted true or false`);
}

async function readLayer(layer: Origin['layer'], path: string, commands: readonly Command[]): Promise<Layer> {
  const { readYaml } = await import('../yaml.ts');
  const { checkSource } = await import('../source.ts');
  const { given, source } = readYaml(path, WANTED);
  checkSource(await schemaOf(commands, layer === 'config'), given, source);
  return { layer, values: given, placeOf: (name) => source.placeOf([name]).text };
}

/** What a file may say: every option of these commands, by its name as settings have it. */
async function schemaOf(commands: readonly Command[], isNamed: boolean): Promise<Schema> {
  const { SETTING_FIELDS } = await import('../settings.ts');
  const { either, fieldsOf, listOf, numberFrom, textLike, truth } = await import('../schema.ts');
  const word = either<string | number>(
    [textLike(/^/, 'a text'), numberFrom(-Infinity, Infinity, 'a number')],
    'a text or a number',
  );
  const options = commands
    .flatMap((command) => command.options)
    .filter((option) => !option.negate && !NOT_IN_FILES.includes(nameOf(option)));
  const accepted = (option: Option): Schema =>
    option.isBoolean() ? truth() : option.optional ? either<unknown>([truth(), word], 'true, false or a text') : word;
  const fields = Object.fromEntries(options.map((option) => [nameOf(option), accepted(option)]));
  const known = { ...fields, ...SETTING_FIELDS };
  if (!isNamed) return fieldsOf(known, { kind: 'setting' });
  const own = Object.fromEntries(Object.entries(fields).filter(([name]) => isOwn(name)));
  const entry = fieldsOf({ name: word, ...own }, { wanted: 'a peer, such as { data: a.tsv }', required: ['data'] });
  const peers = listOf(entry, `a list of 1 to ${MAX_PEERS} peers, such as - data: a.tsv`, { least: 1 });
  return fieldsOf({ ...known, peers }, { kind: 'setting' });
}

/** What each peer of a file says for itself: not what the run decides, nor how all of them are shown. */
function isOwn(name: string): boolean {
  const isOfRun = Object.hasOwn(SETTINGS, name) && SETTINGS[name as keyof typeof SETTINGS].arithmetic;
  return !isOfRun && !'json follow detach open from peers gold out'.split(' ').includes(name);
}
