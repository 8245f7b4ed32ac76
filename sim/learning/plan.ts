/** @file The runs an experiment stands for: each with its settings, and a key that is the same for the same run. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { messageOf, UserError } from '../../node/errors.ts';
import { refuse, type Source, sourceOf } from '../../node/source.ts';
import type { Task } from '../../node/texts/task.ts';
import { openRun, type Run } from '../../node/train/run.ts';
import { parseSettings, type RunSettings } from '../../protocol/config.ts';
import { graphMistake, readEdges } from '../../protocol/edges.ts';
import { SETTINGS, SOFT_LABEL_SETTINGS } from '../../protocol/settings.ts';
import { type Point, pathOf } from '../points.ts';
import { DATASETS, readDataset } from './datasets.ts';
import { METHODS, needsLabels } from './methods.ts';
import type { Scenario } from './scenario.ts';
import { DEFAULTS, type ExperimentSpec, scenarioOf } from './spec.ts';

export interface PlannedRun {
  /** The same for the same run, whatever else the experiment holds. */
  readonly key: string;
  readonly method: string;
  readonly seed: string;
  readonly scenario: Scenario;
  readonly settings: RunSettings;
  /** What this run has of `vary` or `points`. */
  readonly point: Point;
}

/** Raised when the same file comes to mean another computation, so that no old run is taken for a new one. */
const KEYS_VERSION = 1;

/** What an experiment was read from, so that what does not go together is refused by line. */
export interface Origin {
  readonly given: Readonly<Record<string, unknown>>;
  readonly source: Source;
}

type Fail = (field: string, problem: string) => never;
type Draft = Omit<PlannedRun, 'key'> & { readonly fail: Fail };

/**
 * Every run of an experiment: points x seeds x methods, in an order that finishes whole seeds first. Opens the bases and
 * the data, so that whatever is wrong shows before the first run begins. Throws a UserError that says what, and where.
 */
export async function planRuns(spec: ExperimentSpec, from?: Origin): Promise<PlannedRun[]> {
  const origin = from ?? { given: {}, source: sourceOf(spec.name) };
  const opened = new Map<string, string>();
  const drafts = draftRuns(spec, origin);
  const other = drafts.find(({ settings }) => settings.objective !== drafts[0]!.settings.objective);
  other?.fail(
    'objective',
    `is ${other.settings.objective} here and ${drafts[0]!.settings.objective} elsewhere; wanted one, since their figures cannot be compared`,
  );
  const runs: PlannedRun[] = [];
  for (const { fail, ...draft } of drafts) {
    const { scenario, settings } = draft;
    const { base, objective, prompt, patterns, labels, labelPrior, rank, localRank, averaging, targets, maxTokens } =
      settings;
    const task = [
      base,
      objective,
      prompt,
      patterns,
      labels,
      labelPrior,
      rank,
      localRank,
      averaging,
      targets,
      maxTokens,
    ];
    const { data, files, developmentFile, testFile, development, test } = scenario;
    const needsGold = needsLabels(draft.method, settings);
    const name = JSON.stringify([task, data, files, developmentFile, testFile, development, test, needsGold]);
    if (!opened.has(name)) {
      const run = await openHere(settings, fail);
      readDataset(data, { ...scenario, seed: draft.seed }, taskOf(run), needsGold);
      opened.set(name, run.settings.baseHash);
    }
    const whole = { ...settings, baseHash: opened.get(name)! };
    runs.push({ ...draft, settings: whole, key: keyOf(draft.method, scenario, whole) });
  }
  return runs;
}

/** What texts are classified by; null where they are not. */
export function taskOf(run: Run): Task | null {
  return run.objective === 'classify' ? run.task : null;
}

/** Opens a run; where a setting is why that cannot be, says where it stands. */
async function openHere(settings: RunSettings, fail: Fail): Promise<Run> {
  try {
    return await openRun(settings);
  } catch (error) {
    const [, name, problem] = /^(\w+): (.*)$/s.exec(error instanceof UserError ? error.message : '') ?? [];
    if (name && Object.hasOwn(SETTINGS, name)) fail(name, problem!);
    throw error;
  }
}

/** A hash of what is computed: what differs from the defaults, so that a new setting changes no key, and files by their bytes. */
function keyOf(method: string, scenario: Scenario, settings: RunSettings): string {
  const arithmetic = Object.entries(settings).filter(([name, value]) => {
    const setting = SETTINGS[name as keyof typeof SETTINGS];
    return (setting.arithmetic || name === 'localRank') && value !== setting.default;
  });
  const world = Object.entries(scenario).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(DEFAULTS[name as keyof Scenario]),
  );
  const files = [...scenario.files, scenario.developmentFile, scenario.testFile].filter((path) => path !== '');
  return createHash('sha256')
    .update(JSON.stringify([KEYS_VERSION, method, world.sort(), arithmetic.sort(), files.map(hashOf)]))
    .digest('hex')
    .slice(0, 16);
}

function hashOf(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch (error) {
    throw new UserError('usage', `${path}: cannot be read (${messageOf(error)}); wanted a file of texts`);
  }
}

function draftRuns(spec: ExperimentSpec, origin: Origin): Draft[] {
  return spec.seeds.flatMap((seed) =>
    spec.points.flatMap((point, index) =>
      spec.methods.map((method) => {
        const fail: Fail = (field, problem) =>
          refuse(origin.source, pathOf(origin.given, field, { index, method }), problem);
        return { ...draftRun(spec, { method, seed, point }, fail), fail };
      }),
    ),
  );
}

function draftRun(
  spec: ExperimentSpec,
  { method, seed, point }: Pick<PlannedRun, 'method' | 'seed' | 'point'>,
  fail: Fail,
): Omit<PlannedRun, 'key'> {
  const scenario = usedOf(method, scenarioOf({ ...spec.scenario, ...point }, fail));
  // A name that is a field as well, alpha, is the field: settings have theirs under `settings` and `overrides`.
  const isSetting = (name: string): boolean => Object.hasOwn(SETTINGS, name) && !Object.hasOwn(DEFAULTS, name);
  const varied = Object.fromEntries(Object.entries(point).filter(([name]) => isSetting(name)));
  const { objective = 'classify' } = { ...spec.settings, ...varied, ...spec.overrides[method] };
  const isOfClasses = objective === 'classify';
  const task = isOfClasses ? DATASETS[scenario.data]!.settings : {};
  const own = { ...spec.overrides[method], ...unusedOf(method, isOfClasses), seed };
  const parsed = parseSettings({ ...task, ...spec.settings, ...varied, ...own });
  if (!parsed.ok) {
    const [name, ...problem] = parsed.problem.split(': ');
    return fail(name!, problem.join(': '));
  }
  const { settings } = parsed;
  const { rank, averaging } = settings;
  if (scenario.ranks.some((r) => r > rank))
    fail('ranks', `got ${JSON.stringify(scenario.ranks)}; wanted at most the rank of the run, ${rank}`);
  if (scenario.ranks.length > 0 && averaging !== 'product')
    fail('ranks', `averaging is ${averaging}; wanted product, which lets ranks differ`);
  if (!isOfClasses) refuseClasses(method, scenario, fail);
  const graph = settings.schedule === 'edges' ? graphMistake(readEdges(settings.edges), scenario.peers) : null;
  if (graph) fail('edges', graph.problem);
  return { method, seed, scenario, settings, point };
}

/** What goes by classes has no meaning where writing is learned. */
function refuseClasses(method: string, { partition }: Scenario, fail: Fail): void {
  if (METHODS[method]!.softLabels)
    fail('methods', `${method} gives soft labels, and with objective next-token nothing has any; wanted lp-fl-gold`);
  if (partition === 'dirichlet')
    fail('partition', 'got dirichlet, which deals by class, and with objective next-token there is none');
}

/** The scenario with what the run does not look at as it is by default, so that the same run is not run twice. */
function usedOf(method: string, scenario: Scenario): Scenario {
  const skewed = ['dirichlet', 'quantity'].includes(scenario.partition);
  const gossip = METHODS[method]!.mixing === 'gossip';
  return {
    ...scenario,
    ...(skewed ? {} : { alpha: DEFAULTS.alpha }),
    ...(gossip ? {} : { contact: DEFAULTS.contact }),
  };
}

/** The same for settings. */
function unusedOf(method: string, isOfClasses: boolean): Record<string, unknown> {
  const { softLabels, mixing } = METHODS[method]!;
  const defaults = (names: readonly (keyof typeof SETTINGS)[]): Record<string, unknown> =>
    Object.fromEntries(names.map((name) => [name, SETTINGS[name].default]));
  return {
    ...(softLabels || !isOfClasses ? {} : { ...defaults(SOFT_LABEL_SETTINGS), softLabels: 'none' }),
    ...(mixing === 'gossip' ? {} : defaults(['schedule', 'edges', 'redraw', 'degree', 'closingRounds'])),
  };
}
