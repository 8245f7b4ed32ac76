/** @file A scenario as a file: peers, what they train, the network and its faults, and what varies; and its runs. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../node/errors.ts';
import { gotText, mistakesOf, type Path } from '../../node/schema.ts';
import { checkSource, refuse, type Source, sourceOf } from '../../node/source.ts';
import { MAX_TEXT, parseSettings, type RunSettings } from '../../protocol/config.ts';
import { graphMistake, readEdges } from '../../protocol/edges.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { defaultsOf, LATENCY_TABLE, SCENARIO_FILE, WORLD_FIELDS } from '../fields.ts';
import { scenarioOf } from '../learning/spec.ts';
import { type Point, pathOf, pointsOf } from '../points.ts';
import { ATTACKS } from './attacks.ts';
import { parseMatrix } from './latency.ts';
import type { Scenario, ScenarioRun } from './run.ts';

export interface ScenarioSpec {
  readonly name: string;
  readonly about: string;
  readonly runs: readonly ScenarioRun[];
  /** What is allowed and yet worth a word. */
  readonly notes: readonly string[];
}

export const DEFAULTS: Scenario = defaultsOf(WORLD_FIELDS);

/** Settings of a simulated run where they are not those of a real one: seconds instead of minutes. */
const QUICK = {
  rounds: 20,
  closingRounds: 0,
  roundDeadlineMs: 3000,
  retryMs: 300,
  announceMs: 1000,
  aloneAfterMs: 0, // crashes are what many scenarios are about
  maxOpenRounds: 16,
  degree: 4, // enough to average at any size, and alike in all tables
  rule: 'mean', // what graphs and faults do to averaging; attacks set rules against each other
} as const;
/** Of toys as well: nothing is rounded, and steps are long. */
export const SIMULATED = { ...QUICK, codec: 'f32', learningRate: 0.1 } as const;

/** A point of a file as it is read, and how to say that something of it is wrong. */
interface Reading {
  /** The file's fields, the point's on top. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly source: Source;
  /** Where the file says what a field is at this point. */
  readonly at: (field: string) => Path;
  readonly fail: (field: string, problem: string) => never;
}

/** Checks what a file holds. Throws a UserError that says where which field got what, and what it wanted. */
export function readScenario(given: Readonly<Record<string, unknown>>, where: Source | string): ScenarioSpec {
  const source = sourceOf(where);
  checkSource(SCENARIO_FILE, given, source);
  if (given.vary && given.points) refuse(source, ['points'], 'stand beside vary; wanted one of them');
  const notes = new Set<string>();
  const runs = pointsOf(given).flatMap((point, index) => {
    const at = (field: string): Path => pathOf(given, field, { index });
    const fail = (field: string, problem: string): never => refuse(source, at(field), problem);
    const reading = { fields: { ...given, ...point }, source, at, fail };
    const scenario = worldOf(reading);
    const edges = edgesOf(reading);
    return (given.seeds as unknown[]).map(String).map((seed): ScenarioRun => {
      const settings = settingsOf(reading, { scenario, point, seed, edges: edges?.text });
      const note = graphNote(reading, { scenario, settings, edges });
      if (note) notes.add(note);
      return { point, seed, scenario, settings };
    });
  });
  return { name: String(given.name), about: String(given.about ?? ''), runs, notes: [...notes] };
}

function worldOf(reading: Reading): Scenario {
  const { fail } = reading;
  const fields = withLatencyFile(reading);
  const own = Object.keys(DEFAULTS).filter((name) => fields[name] !== undefined);
  const world: Scenario = { ...DEFAULTS, ...Object.fromEntries(own.map((name) => [name, fields[name]])) };
  const { roster, joiners, spoiltSnapshots, peers, learning, trainer, liars } = world;
  if (roster && joiners + spoiltSnapshots > 0)
    fail('roster', 'joiners and spoiltSnapshots are peers nobody knows yet; wanted roster: false');
  if (joiners >= peers) fail('joiners', `got ${joiners} of ${peers} peers; wanted fewer`);
  if (ATTACKS[liars.kind]?.learns === 'trigger' && trainer !== 'lora')
    fail('liars', `kind: got ${liars.kind}, which needs texts; wanted trainer lora`);
  const isOfFiles = learning.data === 'files';
  const { partition } = scenarioOf({ ...learning, peers }, (field, problem) =>
    fail('learning', `${field}: ${problem}`),
  );
  return isOfFiles ? { ...world, learning: { ...learning, partition } } : world;
}

function settingsOf(
  { fields, fail }: Reading,
  { scenario, point, seed, edges }: { scenario: Scenario; point: Point; seed: string; edges: string | undefined },
): RunSettings {
  const varied = Object.fromEntries(Object.entries(point).filter(([field]) => field in SETTINGS));
  const parsed = parseSettings({
    ...(scenario.trainer === 'lora' ? QUICK : SIMULATED),
    minPeers: Math.max(1, scenario.peers - scenario.joiners),
    ...((fields.settings ?? {}) as Record<string, unknown>),
    ...(edges === undefined ? {} : { schedule: 'edges', edges }),
    ...varied,
    seed,
  });
  if (parsed.ok && parsed.settings.rule === 'loss-filter' && scenario.trainer === 'none')
    fail('rule', 'got loss-filter, and with trainer none nothing is scored; wanted quadratic or logistic');
  if (!parsed.ok) {
    const [name, ...problem] = parsed.problem.split(': ');
    return fail(name!, problem.join(': '));
  }
  const { learns } = ATTACKS[scenario.liars.kind] ?? {};
  if (learns && parsed.settings.objective !== 'classify')
    fail('liars', `kind: got ${scenario.liars.kind}, which is about labels; wanted objective classify`);
  const { ranks = [] } = scenario.learning;
  const { rank, averaging } = parsed.settings;
  if (ranks.some((r) => r > rank)) fail('learning', `ranks: ${gotText(ranks)}; wanted at most the run's rank, ${rank}`);
  if (ranks.length > 0 && averaging !== 'product')
    fail('learning', `ranks: averaging is ${averaging}; wanted product, which lets ranks differ`);
  return parsed.settings;
}

/** Puts the table in the place of the file a latency names, so that a run's record is whole. */
function withLatencyFile(reading: Reading): Readonly<Record<string, unknown>> {
  const { fields } = reading;
  const { file, jitter = 0 } = (fields.latencyMs ?? {}) as { file?: unknown; jitter?: unknown };
  if (file === undefined) return fields;
  const matrix = parseMatrix(readBeside(reading, file, 'latencyMs'));
  const wrong = mistakesOf(LATENCY_TABLE, matrix)[0];
  if (wrong)
    reading.fail(
      'latencyMs',
      `${file}${wrong.path.length > 0 ? `, row ${Number(wrong.path[0]) + 1}` : ''}: ${wrong.problem}`,
    );
  return { ...fields, latencyMs: { matrix, jitter } };
}

interface Edges {
  /** As a run's settings have them: places by the order of the peers' names. */
  readonly text: string;
  /** As a message names the edge's line. */
  readonly whereOf: (edge: number) => string;
}

/** The edges of the file a point names: two numbers of peers a line. */
function edgesOf(reading: Reading): Edges | null {
  const { fields, fail } = reading;
  const { edgesFile: file } = fields;
  if (file === undefined) return null;
  // A point may put a file of edges in the place of the file's own schedule; beside each other they contradict.
  const { schedule = 'edges', edges } = (fields.settings ?? {}) as { schedule?: unknown; edges?: unknown };
  const isBeside = reading.at('edgesFile')[0] === 'edgesFile';
  if (isBeside && schedule !== 'edges')
    fail('schedule', `${gotText(schedule)} beside edgesFile; wanted edges, or nothing`);
  if (isBeside && edges !== undefined) fail('edges', 'stands beside edgesFile; wanted one of them');
  const lines = readBeside(reading, file, 'edgesFile')
    .split('\n')
    .map((line, i) => ({ line: i + 1, said: line.replace(/#.*/, '').trim() }))
    .filter(({ said }) => said !== '');
  const wrong = lines.find(({ said }) => !/^\d{1,6}[\s,-]+\d{1,6}$/.test(said));
  if (wrong || lines.length === 0)
    fail(
      'edgesFile',
      `${file}${wrong ? `:${wrong.line}` : ''}: got ${JSON.stringify(wrong?.said ?? '')}; wanted two numbers of peers a line, such as 0 1`,
    );
  const text = lines
    .map(({ said }) =>
      said
        .split(/[\s,-]+/)
        .map(Number)
        .join('-'),
    )
    .join(',');
  if (text.length > MAX_TEXT)
    fail('edgesFile', `${file}: ${lines.length} edges are too many; wanted at most ${MAX_TEXT} characters of them`);
  return { text, whereOf: (edge) => `${file}:${lines[edge]!.line}: ` };
}

/** Refuses a graph that cannot be meant; gives the words for one in parts, where the file says that it may be. */
function graphNote(
  { fields, source, at, fail }: Reading,
  { scenario, settings, edges }: { scenario: Scenario; settings: RunSettings; edges: Edges | null },
): string | null {
  if (settings.schedule !== 'edges') return null;
  const mistake = graphMistake(readEdges(settings.edges), scenario.peers);
  const field = edges ? 'edgesFile' : 'edges';
  if (mistake && mistake.at !== null) fail(field, `${edges?.whereOf(mistake.at) ?? ''}${mistake.problem}`);
  const count = mistake?.parts ?? 1;
  const { parts } = fields as { parts?: number };
  if (parts !== undefined && parts !== count) fail('parts', `got ${parts}; the graph is in ${count}`);
  if (!mistake || parts !== undefined) return null;
  if (fields.trainer === 'none') return `${source.placeOf(at(field)).text}: ${field}: ${mistake.problem}`;
  return fail(field, `${mistake.problem}; wanted one part, or parts: ${count} where that is meant`);
}

/** A file named relative to the scenario's. */
function readBeside({ source, fail }: Reading, file: unknown, field: string): string {
  try {
    return readFileSync(join(dirname(source.path), String(file)), 'utf8');
  } catch (error) {
    return fail(field, `${file} cannot be read beside it (${messageOf(error)})`);
  }
}
