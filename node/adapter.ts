/** @file The shared adapter on disk: a PEFT folder, with the run it came from beside it so that it can be used as trained. */
import { constants, existsSync, readFileSync } from 'node:fs';
import { access, rename, rm } from 'node:fs/promises';
import { basename, isAbsolute, join, resolve } from 'node:path';
import { parseSettings, type RunSettings, wantedOf } from '../protocol/config.ts';
import { RUN_ID_DIGITS } from '../protocol/frame.ts';
import type { Setting } from '../protocol/setting.ts';
import { SETTINGS } from '../protocol/settings.ts';
import { makeFolder, removeEmpty, writeFileAtomic } from './atomic.ts';
import { type Base, openBase } from './checkpoint/base.ts';
import { MAIN } from './checkpoint/names.ts';
import { BUNDLED, basePath, hubName } from './checkpoint/places.ts';
import { messageOf, UserError } from './errors.ts';
import type { Facts } from './export/card.ts';
import { modelClassOf } from './export/class.ts';
import { writePeft } from './export/peft.ts';
import { type Subject, writeCard } from './export/subject.ts';
import { readJsonObject } from './formats/json.ts';
import type { Architecture } from './model/architecture.ts';
import { type LoraSpec, targetedLinears } from './model/lora.ts';
import { type PeftOrigin, peftConfigPath, readPeftConfig, readPeftOrigin, readPeftVector } from './model/peft.ts';
import { trainableTensors } from './model/program.ts';
import type { ModelTensor } from './model/tensors.ts';
import { nearest } from './nearest.ts';
import { checkSettings, openRun, type Run, runIdOf } from './train/run.ts';

const RUN_FILE = 'lorikeet.json';

/** Writes the PEFT folder, its card and lorikeet.json. Throws a UserError on a full or read-only disk. */
export function writeAdapter(
  folder: string,
  { run, vector, facts = {} }: { run: Run; vector: Float32Array; facts?: Facts },
): Promise<void> {
  return writeSubject(folder, { ...run, vector, named: namedFor(run.settings.base), facts });
}

/** The same for an adapter that may come from elsewhere; where it has no run, no lorikeet.json is left. */
export async function writeSubject(folder: string, subject: Subject): Promise<void> {
  const { base, named, settings } = subject;
  await prepareFolder(folder);
  await writePeft(folder, {
    ...subject,
    ...named,
    architecture: base.architecture,
    model: modelClassOf(base.config),
  });
  await writeCard(folder, subject, 'peft');
  const path = join(folder, RUN_FILE);
  const write = settings
    ? writeFileAtomic(path, `${JSON.stringify({ runId: runIdOf(settings), settings }, null, 2)}\n`)
    : rm(path, { force: true });
  await write.catch((error) => {
    throw unwritable(folder, error);
  });
}

/** Moves an adapter of another run out of the way, to a name with the beginning of that run's id. */
export async function keepEarlier(folder: string, runId: string): Promise<void> {
  const path = join(folder, RUN_FILE);
  if (!existsSync(path)) return;
  const earlier = /"runId": "([0-9a-f]+)"/.exec(readFileSync(path, 'utf8'))?.[1] ?? 'earlier';
  const kept = `${folder}-${earlier.slice(0, 8)}`;
  if (earlier === runId || existsSync(kept)) return;
  await rename(folder, kept).catch((error) => {
    throw unwritable(kept, error);
  });
}

/**
 * Makes the folder and checks that it can be written, before hours are spent on what goes there. What it gives takes the folder
 * away again where nothing has come into it.
 */
export async function prepareFolder(folder: string): Promise<() => void> {
  try {
    const made = makeFolder(folder);
    await access(folder, constants.W_OK);
    return () => {
      if (made) removeEmpty(folder, made);
    };
  } catch (error) {
    throw unwritable(folder, error);
  }
}

function unwritable(folder: string, error: unknown): UserError {
  return new UserError(
    'storage',
    `${JSON.stringify(folder)}: cannot be written (${messageOf(error)}); choose another folder`,
    error,
  );
}

/** What others load the base by: a folder as it is reached from anywhere on this machine, or a name of the Hub. */
export function namedFor(base: string): { base: string; revision: string | null } {
  const hub = hubName(base);
  if (!hub) return { base: resolve(basePath(base)), revision: null };
  return { base: hub.name, revision: hub.revision === MAIN ? null : hub.revision };
}

/** An adapter on its base, whatever it was trained for. */
export interface OpenedAdapter {
  readonly base: Base;
  /** As --base names it. */
  readonly name: string;
  readonly lora: LoraSpec;
  readonly tensors: readonly ModelTensor[];
  readonly vector: Float32Array;
  /** Of the run it comes from; null where the folder does not say. */
  readonly settings: RunSettings | null;
  readonly notes: readonly string[];
}

/**
 * Reads an adapter folder, one of ours or any plain LoRA from PEFT, and opens its base, another where `given` names one. Throws
 * a UserError on any field that is not understood, or that says otherwise than the same in the other file.
 */
export async function openAdapter(folder: string, given?: string): Promise<OpenedAdapter> {
  const origin = readPeftOrigin(folder);
  const own = readRunFile(join(folder, RUN_FILE));
  if (own) checkBases(folder, own.settings, origin);
  const name = given ?? own?.settings.base ?? baseOf(folder, origin);
  const base = await openBase(name);
  const { architecture } = base;
  const lora = readPeftConfig(folder, architecture.linears);
  if (own) checkAgreement(folder, own.settings, lora);
  checkTargets(folder, own?.settings ?? null, { lora, architecture });
  const tensors = trainableTensors(base, { type: 'lora', lora });
  const vector = readPeftVector(folder, tensors);
  const notes = [
    ...(own?.notes ?? []),
    ...originNotes(folder, origin, { base: own ? null : name, isCausal: architecture.isCausal }),
  ];
  return { base, name, lora, tensors, vector, settings: own?.settings ?? null, notes };
}

/** An adapter as it is to be used, and what is worth saying of where it comes from. */
export interface ReadAdapter {
  readonly run: Run;
  readonly vector: Float32Array;
  readonly notes: readonly string[];
}

/**
 * Reads an adapter folder: one of ours, or any plain LoRA from PEFT with settings given beside it. Throws a UserError on any
 * field that is not understood, or that says otherwise than the same in the other file.
 */
export async function readAdapter(folder: string, given: Readonly<Record<string, unknown>>): Promise<ReadAdapter> {
  const opened = await openAdapter(folder, given.base === undefined ? undefined : String(given.base));
  const { settings: own, name: base, vector, notes } = opened;
  const { modules, ...lora } = opened.lora;
  const stays = (name: 'prompt' | 'labels'): boolean => !(name in given) || given[name] === own?.[name];
  // A prior belongs to the prompt and words it was measured with.
  const fresh = stays('prompt') && stays('labels') ? {} : { labelPrior: '', patterns: '' };
  const settings = checkSettings({ ...lora, ...own, ...fresh, ...given, base }, peftConfigPath(folder));
  return { run: await openRun(settings, modules), vector, notes };
}

/** The base of an adapter that came without a run: the folder it names, or the bundled one. */
function baseOf(folder: string, { base }: PeftOrigin): string {
  if (base === null) return SETTINGS.base.default;
  if (base === BUNDLED || existsSync(base) || hubName(base)) return base;
  // Where another's installation has it.
  if (isAbsolute(base) && basename(base) === BUNDLED) return BUNDLED;
  throw new UserError(
    'usage',
    `${peftConfigPath(folder)}: base_model_name_or_path is ${JSON.stringify(base)}, which is no folder here and no name on the Hub; wanted --base with the model's folder, file or name`,
  );
}

/** Heads that are not the words of the base. */
const OTHER_HEADS = ['SEQ_CLS', 'TOKEN_CLS', 'QUESTION_ANS', 'SEQ_2_SEQ_LM', 'CAUSAL_LM'];

function originNotes(
  folder: string,
  origin: PeftOrigin,
  { base, isCausal }: { base: string | null; isCausal: boolean },
): string[] {
  const path = peftConfigPath(folder);
  return [
    ...(base !== null && origin.base === null ? [`${path}: does not name its base; taken for one of ${base}`] : []),
    ...(base !== null && origin.base !== null && origin.base !== base
      ? [`${path}: was trained on ${origin.base}; used on ${base}, as --base says`]
      : []),
    ...(origin.task !== null && OTHER_HEADS.includes(origin.task) && !(isCausal && origin.task === 'CAUSAL_LM')
      ? [`${path}: task_type is ${origin.task}: was trained for another head than the base's words`]
      : []),
  ];
}

interface RunFile {
  readonly settings: RunSettings;
  readonly notes: readonly string[];
}

/** Reads lorikeet.json field by field; null where there is none. */
function readRunFile(path: string): RunFile | null {
  if (!existsSync(path)) return null;
  const { settings, runId, ...others } = readJsonObject(path, `what "lorikeet export" writes, ${OR_REMOVE}`);
  const fail = (problem: string): never => {
    throw new UserError('usage', `${path}: ${problem}; export the adapter again, ${OR_REMOVE}`);
  };
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) fail(`field ${unknown} is not known here; wanted runId and settings`);
  if (settings === null || typeof settings !== 'object' || Array.isArray(settings))
    return fail(`settings is ${JSON.stringify(settings)?.slice(0, 80)}; wanted the settings of a run`);
  for (const [name, value] of Object.entries(settings)) {
    const problem = problemOf(name, value);
    if (problem) fail(`settings.${problem}`);
  }
  const parsed = parseSettings(settings as Record<string, unknown>);
  if (!parsed.ok) return fail(`settings.${parsed.problem}`);
  if (typeof runId !== 'string' || !new RegExp(`^[0-9a-f]{${RUN_ID_DIGITS}}$`).test(runId))
    return fail(`runId is ${JSON.stringify(runId)?.slice(0, 80)}; wanted ${RUN_ID_DIGITS} hex digits`);
  // One that an earlier version wrote lacks settings that have come since.
  const isWhole = Object.keys(SETTINGS).every((name) => name in settings);
  const isOther = isWhole && runIdOf(parsed.settings) !== runId;
  const notes = isOther ? [`${path}: its settings are not those of run ${runId}: they were changed since`] : [];
  return { settings: parsed.settings, notes };
}

const OR_REMOVE = 'or remove this file to use the folder as a plain PEFT adapter';

/** What is wrong with a setting as this program writes them: numbers as numbers, texts as texts. */
function problemOf(name: string, value: unknown): string | null {
  const setting = Object.hasOwn(SETTINGS, name) ? (SETTINGS as Record<string, Setting>)[name] : undefined;
  if (!setting) {
    const like = nearest(name, Object.keys(SETTINGS));
    return `${name}: no such setting${like ? `; did you mean ${like}?` : ''}`;
  }
  const type = setting.type === 'integer' || setting.type === 'number' ? 'number' : 'string';
  if (typeof value === type) return null; // bounds are looked at where all are there
  return `${name}: got ${JSON.stringify(value)?.slice(0, 80)}; wanted ${wantedOf(setting)}`;
}

/** That both files name one base; a folder may have been elsewhere when the adapter was written. */
function checkBases(folder: string, own: RunSettings, { base }: PeftOrigin): void {
  if (base === null || base === own.base || base === namedFor(own.base).base) return;
  if (isAbsolute(base) && basename(base) === basename(own.base)) return;
  throw contradiction(folder, ['base', own.base], ['base_model_name_or_path', base]);
}

/** What both files say must be the same. */
function checkAgreement(folder: string, own: RunSettings, lora: LoraSpec): void {
  const isSame = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * Math.abs(b);
  if (own.rank !== lora.rank) throw contradiction(folder, ['rank', own.rank], ['r', lora.rank]);
  if (!isSame(own.alpha, lora.alpha))
    throw contradiction(folder, ['alpha', own.alpha], ['lora_alpha', lora.alpha, ' as it is scaled here']);
}

/** That the targets name layers of the base, and the same in both files, however they are written. */
function checkTargets(
  folder: string,
  own: RunSettings | null,
  { lora, architecture }: { lora: LoraSpec; architecture: Architecture },
): void {
  const modules = (targets: string, where: string): string => {
    try {
      return String(targetedLinears(architecture, targets).map(({ module }) => module));
    } catch (error) {
      throw error instanceof UserError ? new UserError('incompatible', `${where}${error.message}`) : error;
    }
  };
  const theirs = modules(lora.targets, `${peftConfigPath(folder)}: target_modules, `);
  if (own && modules(own.targets, `${join(folder, RUN_FILE)}: settings.`) !== theirs)
    throw contradiction(folder, ['targets', own.targets], ['target_modules', lora.targets.slice(0, 200)]);
}

function contradiction(
  folder: string,
  [setting, ours]: readonly [string, unknown],
  [field, theirs, how = '']: readonly [field: string, theirs: unknown, how?: string],
): UserError {
  return new UserError(
    'incompatible',
    `${join(folder, RUN_FILE)}: settings.${setting} is ${JSON.stringify(ours)}, ${field} in ${peftConfigPath(folder)} is ${JSON.stringify(theirs)}${how}; wanted the same: export the adapter again, ${OR_REMOVE}`,
  );
}
