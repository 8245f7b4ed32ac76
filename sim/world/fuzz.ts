/** @file Worlds drawn from a seed, each with its own peers, graph, codec and faults, and what must hold of every one. */
import { checkSettings } from '../../node/train/run.ts';
import { CODEC_NAMES } from '../../protocol/codec.ts';
import { createPrng, type Prng } from '../../protocol/prng.ts';
import { RULE_NAMES, RULES, type RuleName } from '../../protocol/rules.ts';
import { SCHEDULE_NAMES } from '../../protocol/schedules.ts';
import { liarCount } from './faults.ts';
import type { Latency } from './latency.ts';
import type { Lies, ScenarioRun } from './run.ts';
import { DEFAULTS, SIMULATED } from './scenario.ts';
import { simulate } from './simulate.ts';
import { STRANGERS, type Strangers } from './strangers.ts';
import type { WorldOptions } from './world.ts';

/** Whether peers lie: as drawn, in no world, or in every one. */
export const LYING = ['drawn', 'none', 'some'] as const;
export type Lying = (typeof LYING)[number];

/** The world of a seed: which faults there are is drawn first, then how much of each. */
export function drawRun(seed: string, lying: Lying = 'drawn'): ScenarioRun {
  const prng = createPrng(seed).fork('fuzz');
  const some = (chance: number, draw: () => number): number => (prng.random() < chance ? draw() : 0);
  const pick = <T>(items: readonly T[]): T => items[prng.below(items.length)]!;
  const peers = 2 + prng.below(12);
  const trainMs = 20 + prng.below(400);
  const scenario = {
    ...DEFAULTS,
    peers,
    size: 1 + prng.below(70),
    latencyMs: drawLatency(prng),
    trainMs: [trainMs, trainMs + prng.below(600)] as const,
    bandwidthMbps: some(0.2, () => 0.2 + prng.random()),
    loss: some(0.6, () => 0.4 * prng.random()),
    duplication: some(0.5, () => 0.5 * prng.random()),
    natShare: some(0.2, () => 0.5 * prng.random()),
    crashes: some(0.5, () => 1 + prng.below(10)),
    fullDisks: some(0.2, () => 1 + prng.below(3)),
    spoiltSnapshots: some(0.1, () => 1),
    clockJumps: some(0.2, () => 1 + prng.below(3)),
    freezes: some(0.4, () => 1 + prng.below(10)),
    freezeMs: 100 + prng.below(10_000),
    joiners: some(0.2, () => prng.below(Math.max(1, peers - 1))),
    joinMs: prng.below(6000),
    liars: drawLiars(prng, lying, peers),
    strangers: drawStrangers(createPrng(seed).fork('strangers'), lying),
    downMs: 50 + prng.below(1500),
    stragglers: { share: some(0.3, () => 0.5 * prng.random()), slowdown: 1 + prng.below(8) },
    partition: drawPartition(prng),
  };
  const schedule = pick(SCHEDULE_NAMES);
  const settings = {
    ...SIMULATED,
    minPeers: peers - scenario.joiners,
    latecomers: pick(['adopt', 'keep']),
    rounds: 2 + prng.below(14),
    closingRounds: prng.below(3),
    schedule,
    redraw: pick(['on', 'off']),
    edges: schedule === 'edges' ? drawEdges(prng, peers) : '',
    codec: pick(CODEC_NAMES),
    ...drawRule(createPrng(seed).fork('rule')),
    degree: pick([2, 4, 6]),
    roundDeadlineMs: 300 + prng.below(4000),
    retryMs: 100 + prng.below(1000),
    aloneAfterMs: some(0.3, () => 500 + prng.below(5000)),
    maxOpenRounds: 1 + prng.below(8),
    seed,
  };
  return { point: {}, seed, scenario, settings: checkSettings(settings, `fuzz seed ${seed}`) };
}

/** Lies that are drawn from. */
const LIES = ['garbage', 'stale', 'denial', 'equivocation'];

function drawLiars(prng: Prng, lying: Lying, peers: number): Lies {
  const [chance, share, kind] = [prng.random(), prng.random(), prng.below(LIES.length)];
  const drawn = chance < 0.2 ? 0.3 * share : 0;
  const least = 1 / peers; // one of them
  return {
    share: lying === 'none' ? 0 : lying === 'some' ? Math.max(least, 0.3 * share) : drawn,
    kind: LIES[kind]!,
  };
}

/** One of four worlds is told of members that are made up, or meets them. */
function drawStrangers(prng: Prng, lying: Lying): Strangers {
  const [chance, kind, count] = [prng.random(), prng.below(Object.keys(STRANGERS).length), 1 + prng.below(20)];
  const [fromMs, length, invites] = [prng.below(3000), 500 + prng.below(5000), prng.below(3)];
  const isDrawn = lying !== 'none' && chance < 0.25;
  return {
    kind: Object.keys(STRANGERS)[kind]!,
    count: isDrawn ? count : 0,
    fromMs,
    untilMs: fromMs + length,
    invites,
  };
}

/** One of three worlds clips, and one of six mixes by a rule that keeps nothing. */
function drawRule(prng: Prng): { rule: RuleName; ruleRadius: number; ruleShare: number } {
  const [chance, which, ruleRadius] = [prng.below(6), prng.below(RULE_NAMES.length), 0.2 + 2 * prng.random()];
  // Nothing can be scored where nothing is learned.
  const other = RULE_NAMES[which] === 'loss-filter' ? 'median' : RULE_NAMES[which]!;
  return { rule: chance < 2 ? 'clip' : chance === 2 ? other : 'mean', ruleRadius, ruleShare: 0.4 * prng.random() };
}

function drawEdges(prng: Prng, peers: number): string {
  return Array.from({ length: 2 * peers }, () => `${prng.below(peers)}-${prng.below(peers)}`).join(',');
}

function drawLatency(prng: Prng): Latency {
  const [kind, low, more] = [prng.below(4), 1 + prng.below(20), 30 + prng.below(280)];
  if (kind === 0) return { median: low, sigma: prng.random() };
  if (kind === 1) return { least: low, mean: more / 10 };
  if (kind === 2) return { matrix: [0, 1, 2].map(() => [low, more, low].map((ms) => prng.below(2 * ms))), jitter: 0.5 };
  return [low, low + more];
}

function drawPartition(prng: Prng): ScenarioRun['scenario']['partition'] {
  const [chance, fromMs, length, share, oneWay] = [
    prng.random(),
    prng.below(3000),
    200 + prng.below(6000),
    prng.random(),
    prng.random() < 0.5,
  ];
  return chance < 0.3 ? { fromMs, untilMs: fromMs + length, share, oneWay } : null;
}

/** How far the mean may move, in units of the first disagreement: by float32 rounding alone, whatever the codec. */
const MAX_DRIFT = 1e-6;

/**
 * Runs the seed's world; what does not hold of it, or null. Safety: what must hold after every event does, and the mean
 * stays, so nothing was mixed at one end alone or twice; between two that do not lie, whoever lies beside them. Liveness:
 * healed, everybody finishes and knows how every exchange has ended.
 */
export async function fuzzOnce(seed: string, step?: WorldOptions['step'], lying?: Lying): Promise<string | null> {
  return judge(drawRun(seed, lying), step);
}

/** The same of any run, and of peers that decide by another `step`. */
export async function judge(run: ScenarioRun, step?: WorldOptions['step']): Promise<string | null> {
  const { result } = await simulate(run, { watch: true, ...(step ? { step } : {}) });
  const { peers, spoiltSnapshots, strangers } = run.scenario;
  if (result.problem) return result.problem;
  if (result.finished < peers) return `${peers - result.finished} of ${peers} peers did not finish`;
  // A new peer in the place of one takes its part of the mean along and leaves what was open undecided; so may a liar. Who
  // is left with none but strangers of several invites may believe them.
  const isMisled = strangers.count > 0 && STRANGERS[strangers.kind]!.isThere;
  const isWhole = spoiltSnapshots === 0 && liarCount(run.scenario) === 0 && !isMisled;
  if (isWhole && result.abandoned > 0) return `${result.abandoned} exchanges were given up`;
  if (spoiltSnapshots === 0 && result.undecided > 0) return `${result.undecided} exchanges are undecided`;
  const isKept = RULES[run.settings.rule as RuleName].conserves === 'the mean';
  if (isWhole && isKept && !(result.drift! <= MAX_DRIFT))
    return `the mean moved by ${result.drift!.toExponential(1)} of the first disagreement`;
  if (isWhole && isKept && !(result.apart <= 1))
    return `peers ended further apart than they began, ${result.apart.toPrecision(3)}`;
  return null;
}
