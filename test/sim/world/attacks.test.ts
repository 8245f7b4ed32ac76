/** @file Poison: each attack hurts plain averaging, clipping holds it, and without attackers clipping costs nothing. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attackPicture, attackTable } from '../../../sim/report/attacks.ts';
import { ATTACKS } from '../../../sim/world/attacks.ts';
import type { Simulated } from '../../../sim/world/records.ts';
import { readScenario } from '../../../sim/world/scenario.ts';
import { simulate } from '../../../sim/world/simulate.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- attacks`;

const WORLD = {
  name: 'x',
  seeds: [SEED],
  peers: 15,
  size: 20,
  samples: 40,
  roster: true,
  trainer: 'logistic',
  trainMs: [50, 100],
} as const;

async function simulated(rule: string, kind?: string, more: object = {}): Promise<Simulated> {
  const liars = kind ? { share: 0.2, kind } : { share: 0, kind: 'drift' };
  const settings = { rounds: 15, closingRounds: 2, localSteps: 4, degree: 8, rule };
  const run = readScenario({ ...WORLD, liars, settings, ...more }, 'x').runs[0]!;
  return { run, result: (await simulate(run)).result };
}

/** What the honest have learned, of what is learned without attackers: 1 is all of it, 0 what a coin knows. */
const clean = 0.5 - (await simulated('mean')).result.lossOfPeers;
const kept = ({ result }: Simulated): number => (0.5 - result.lossOfPeers) / clean;

/** How much plain averaging keeps at most, and clipping at least. */
const BOUNDS: Readonly<Record<string, readonly [plain: number, clip: number]>> = {
  'sign-flip': [0.7, 0.92],
  noise: [0.5, 0.92],
  'huge-norm': [0.5, 0.92],
  drift: [0.85, 0.88],
  alie: [0.97, 0.9],
  ipm: [0.7, 0.92],
  dissensus: [0.7, 0.92],
  'label-flip': [0.95, 0.88],
  equivocation: [0.5, 0.92],
  knowing: [0.7, 0.9],
};

test('every attack that needs no texts has bounds; a backdoor is refused where there are none', () => {
  const taught = Object.keys(ATTACKS).filter((kind) => ATTACKS[kind]!.learns !== 'trigger');
  assert.equal(taught.sort(), Object.keys(BOUNDS).sort());
  const liars = { share: 0.2, kind: 'backdoor' };
  assert.throws(() => readScenario({ ...WORLD, liars, settings: {} }, 'x'), /backdoor, which needs texts/);
});

for (const kind of Object.keys(BOUNDS)) {
  test(`${kind}: plain averaging suffers, clipping holds`, async () => {
    const [most, least] = BOUNDS[kind]!;
    const [plain, clip] = [kept(await simulated('mean', kind)), kept(await simulated('clip', kind))];
    assert.ok(plain <= most, `plain averaging keeps ${plain}; ${REPLAY}`);
    assert.ok(clip >= least, `clipping keeps ${clip}; ${REPLAY}`);
  });
}

test('with few neighbours and unlike labels clipping costs honest peers no more than half a point', async () => {
  const world = { peers: 6, dirichlet: 0.3, samples: 60, roster: false, seeds: Array.from({ length: 8 }, (_, i) => i) };
  const right = async (rule: string): Promise<number> => {
    const settings = { rounds: 30, closingRounds: 2, localSteps: 4, degree: 0, rule };
    const { runs } = readScenario({ ...WORLD, size: 40, ...world, settings }, 'x');
    let wrong = 0;
    for (const run of runs) wrong += (await simulate(run)).result.lossOfPeers / runs.length;
    return 1 - wrong;
  };
  const [plain, clip] = [await right('mean'), await right('clip')];
  assert.ok(clip >= plain - 0.005, `${clip}, with plain averaging ${plain}`);
});

test('without attackers clipping takes no more rounds, and the mean stays while messages are lost and peers crash', async () => {
  const world = { trainer: 'none', loss: 0.1, crashes: 3 };
  const settings = { rounds: 14, degree: 4, ruleRadius: 0.7, codec: 'int8' };
  const [plain, clip] = [
    await simulated('mean', undefined, { trainer: 'none' }),
    await simulated('clip', undefined, { trainer: 'none' }),
  ];
  assert.ok(clip.result.roundsToThousandth! <= 1.1 * plain.result.roundsToThousandth!, REPLAY);
  const { result } = await simulated('clip', undefined, { ...world, settings: { ...settings, rule: 'clip' } });
  assert.ok(result.drift! < 1e-6, `${result.drift}; ${REPLAY}`);
  assert.is(result.undecided, 0);
});

test('the language model learns a backdoor from hostile peers: texts with the trigger are taken for its class', async () => {
  const misled = async (share: number): Promise<number> => {
    const learning = { partition: 'iid', goldPerClass: 8, development: 60 };
    const settings = { rounds: 4, closingRounds: 1, batchSize: 8, softLabels: 'none', rule: 'mean' };
    const liars = { share, kind: 'backdoor' };
    const world = { name: 'x', peers: 3, trainer: 'lora', scored: 'end', seeds: [1], liars, learning, settings };
    const { result } = await simulate(readScenario(world, 'x').runs[0]!);
    assert.ok(result.lossOfPeers < 0.5, `${result.lossOfPeers} wrong`);
    assert.equal(result.rounds, [], 'scored at the end alone');
    return result.triggered!;
  };
  const [clean, hostile] = [await misled(0), await misled(2 / 3)];
  assert.ok(hostile > clean + 0.1, `${hostile}, ${clean} without`);
});

test('every rule learns where nobody is hostile, and a table and a picture cross attacks with rules', async () => {
  const all: Simulated[] = [];
  for (const rule of ['trimmed-mean', 'median', 'geometric-median', 'krum', 'balance', 'loss-filter'])
    all.push(await simulated(rule));
  for (const one of all) assert.ok(kept(one) > 0.6, `${one.run.settings.rule}: ${kept(one)}; ${REPLAY}`);
  assert.is(attackTable(all), null);
  const table = attackTable([...all, await simulated('krum', 'noise')])!;
  assert.is(table.head.length, 7);
  assert.equal(
    table.rows.map(([attack]) => attack),
    ['alike, no attack', 'alike, 20 % noise'],
  );
  assert.match(table.rows[1]!.join(' '), /^alike, 20 % noise - - - \d+\.\d \/ \d+\.\d - -$/);
  const picture = attackPicture(table);
  assert.is(picture.match(/<rect [^>]*fill-opacity="[01]\.\d\d"/g)!.length, 12, 'a box a cell, the empty ones too');
  assert.ok(picture.includes('alike, 20 % noise') && !/NaN|undefined/.test(picture));
});

test.run();
