/** @file A run as this machine opens it: settings, run id, base model, what is learned, and the layout of the adapter. */
import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { CODECS } from '../../protocol/codec.ts';
import { canonicalSettings, parseSettings, type RunSettings } from '../../protocol/config.ts';
import { edgeMistake, readEdges } from '../../protocol/edges.ts';
import { HASH_BYTES, type Hash, RUN_ID_DIGITS } from '../../protocol/frame.ts';
import { createPrng } from '../../protocol/prng.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { type Base, baseVector, openBase } from '../checkpoint/base.ts';
import type { LabelWords } from '../engine/batch.ts';
import type { Trainer } from '../engine/trainer.ts';
import { UserError } from '../errors.ts';
import { initialLora, type LoraSpec, usualTargets } from '../model/lora.ts';
import { trainableTensors } from '../model/program.ts';
import type { ModelTensor } from '../model/tensors.ts';
import { createWritingTask, type WritingTask } from '../texts/pieces.ts';
import { createTask, type Task, usualPrompt } from '../texts/task.ts';
import { createWire, cutRank, type Wire } from './factors.ts';
import { encodeTexts, labelWords, measurePrior } from './learner.ts';

interface Opened {
  readonly settings: RunSettings;
  readonly runId: string;
  readonly base: Base;
  readonly lora: LoraSpec;
  readonly tensors: readonly ModelTensor[];
  /** A fresh adapter, which leaves the base as it is. */
  readonly initial: Float32Array;
  /** The adapter everybody starts from; null where it is another than the fresh one and is not here. */
  readonly start: Float32Array | null;
  /** The same in the run's own rank, as it goes to whoever joins; null where the fresh one is meant. */
  readonly given: Float32Array | null;
  /** What of an adapter travels. */
  readonly wire: Wire;
}

interface Classes {
  readonly objective: 'classify';
  readonly task: Task;
  readonly labels: LabelWords;
  /** The label words of each prompt, its own prior taken off; the first is `labels`. */
  readonly patternLabels: readonly LabelWords[];
}

interface Words {
  readonly objective: 'next-token';
  readonly writing: WritingTask;
}

/** A run that learns the classes of texts. */
export type ClassRun = Opened & Classes;
/** A run that learns to write as texts do. */
export type WritingRun = Opened & Words;
export type Run = ClassRun | WritingRun;

export const sha256: Hash = (bytes) => createHash('sha256').update(bytes).digest().subarray(0, HASH_BYTES);

/** The run id: the hash of every setting that alters what is computed. */
export function runIdOf(settings: RunSettings): string {
  return createHash('sha256').update(canonicalSettings(settings)).digest('hex').slice(0, RUN_ID_DIGITS);
}

/** Checks settings a user or a file gave. Throws a UserError that names the setting. */
export function checkSettings(given: Readonly<Record<string, unknown>>, where: string): RunSettings {
  const parsed = parseSettings(given);
  if (!parsed.ok) throw new UserError('usage', `${where}: ${parsed.problem}`);
  return parsed.settings;
}

/** Whether a setting is the run's: what its id covers, and the name of the base, that its hash holds to. All else is each peer's own. */
export function isOfRun(name: string): boolean {
  return name === 'base' || SETTINGS[name as keyof typeof SETTINGS].arithmetic;
}

/** Names an adapter by its content: sha256 of its numbers, as little-endian float32, in hex digits. */
export function hashOfAdapter(vector: Float32Array): string {
  return createHash('sha256').update(CODECS.f32.encode(vector)).digest('hex');
}

/** Puts in the adapter that a run starts from. Throws a UserError where it is another than the run's. */
export function startFrom<R extends Run>(run: R, given: Float32Array): R {
  const { settings, tensors } = run;
  if (hashOfAdapter(given) !== settings.startHash)
    throw new UserError(
      'incompatible',
      `run ${run.runId}: starts from adapter ${settings.startHash.slice(0, 12)}..., this is ${hashOfAdapter(given).slice(0, 12)}...; take the one it was started with`,
    );
  const start = settings.localRank ? cutRank(given, tensors, settings.localRank) : given;
  return { ...run, given, start, wire: createWire(tensors, settings, start) };
}

/** The adapter a run starts from. Throws a UserError where it is not here. */
export function startOf({ start, runId }: Run): Float32Array {
  if (start) return start;
  throw new UserError('incompatible', `run ${runId}: the adapter it starts from is not here; join it again`);
}

/** Opens a run of classes. */
export async function openClassRun(given: RunSettings, modules?: LoraSpec['modules']): Promise<ClassRun> {
  const run = await openRun(given, modules);
  assert(run.objective === 'classify', 'a run of classes');
  return run;
}

/**
 * Opens the base and the task of a run, filling in the base's hash; `modules` are ranks and alphas of an adapter from elsewhere
 * that the settings cannot say. Throws a UserError if this machine's base is another.
 */
export async function openRun(given: RunSettings, modules?: LoraSpec['modules']): Promise<Run> {
  const base = await openBase(given.base);
  if (given.baseHash && given.baseHash !== base.sha256) {
    throw new UserError(
      'incompatible',
      `base ${given.base}: its sha256 is ${base.sha256.slice(0, 12)}..., the run wants ${given.baseHash.slice(0, 12)}...; fetch the same model and name its folder or file with --base`,
    );
  }
  const prompt = given.prompt || (given.objective === 'classify' ? usualPrompt(base.architecture) : '');
  const settings: RunSettings = {
    ...given,
    baseHash: base.sha256,
    prompt,
    targets: given.targets || usualTargets(base.architecture),
  };
  const { rank, alpha, targets } = settings;
  const lora = { rank, alpha, targets, ...(modules ? { modules } : {}) };
  const tensors = trainableTensors(base, { type: 'lora', lora });
  const learned = settings.objective === 'classify' ? openClasses(settings, base) : openWords(settings, base);
  const edge = edgeMistake(readEdges(settings.edges), null);
  if (edge) throw new UserError('usage', `edges: ${edge.problem}`);
  if (settings.rule === 'loss-filter')
    throw new UserError(
      'usage',
      'rule: got loss-filter, which scores adapters as they are mixed, and only toys of the simulator can; wanted another',
    );
  const { localRank, averaging } = settings;
  if (localRank && averaging !== 'product')
    throw new UserError(
      'usage',
      `localRank: got ${localRank} with averaging ${averaging}; wanted averaging product, which lets ranks differ`,
    );
  if (localRank > rank)
    throw new UserError('usage', `localRank: got ${localRank}; wanted at most the run's rank, ${rank}`);
  const whole = initialLora(tensors, createPrng(settings.seed).fork('lora-A').random);
  const initial = localRank ? cutRank(whole, tensors, localRank) : whole;
  return {
    settings,
    runId: runIdOf(settings),
    base,
    lora,
    tensors,
    initial,
    start: settings.startHash === '' ? initial : null,
    given: null,
    wire: createWire(tensors, settings, initial),
    ...learned,
  };
}

function openClasses(settings: RunSettings, { architecture, path }: Base): Classes {
  const task = createTask(path, settings, architecture);
  const prior = priorOf(settings);
  const classes = task.classes.length;
  if (!prior.every(Number.isFinite))
    throw new UserError('usage', `labelPrior: got "${settings.labelPrior}"; wanted finite numbers`);
  if (prior.length > 0 && prior.length !== classes * task.prompts.length) {
    throw new UserError(
      'usage',
      `labelPrior: ${prior.length} numbers; wanted one for each of ${classes} classes and ${task.prompts.length} prompts`,
    );
  }
  const patternLabels = task.prompts.map((_, p) => labelWords(task, prior.slice(p * classes, (p + 1) * classes), p));
  return { objective: 'classify', task, labels: patternLabels[0]!, patternLabels };
}

function openWords({ base, objective, maxTokens }: RunSettings, { architecture, path }: Base): Words {
  if (!architecture.isCausal)
    throw new UserError(
      'usage',
      `objective: ${objective} wants a base that reads from left to right, such as GPT-2 or a Llama; ${base} fills in masks; wanted another --base, or objective classify`,
    );
  const source = { path, maxTokens, maxPositions: architecture.maxTokens, isCausal: true };
  return { objective: 'next-token', writing: createWritingTask(source) };
}

/** The numbers of the label prior; none where it is off, or not measured yet. */
function priorOf({ labelPrior }: RunSettings): number[] {
  if (labelPrior === '' || labelPrior === 'off') return [];
  return labelPrior.split(',').map((x) => (x === '' ? Number.NaN : Number(x)));
}

/**
 * The run with its label prior measured on texts, for every prompt (Zhao et al. 2021, contextual calibration); a run whose
 * settings say otherwise as it is.
 */
export async function calibrateRun(run: ClassRun, trainer: Trainer, texts: readonly string[]): Promise<ClassRun> {
  if (run.settings.labelPrior !== '') return run;
  const prior: number[] = [];
  for (const [p] of run.task.prompts.entries()) {
    const sequences = await encodeTexts(run.task, texts, p);
    prior.push(...(await measurePrior(trainer, run.task, startOf(run), sequences, p)));
  }
  const calibrated = await openClassRun({ ...run.settings, labelPrior: prior.map((x) => x.toFixed(4)).join(',') });
  return run.given ? startFrom(calibrated, run.given) : calibrated;
}

/** Where full-parameter training starts: every weight of the base as one vector. */
export function fullVector(run: Run): Promise<Float32Array> {
  return baseVector(run.base);
}
