/** @file Scenarios: what a file may say, networks that lose, cut and hide, toys with a known optimum, and that a seed repeats. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../../node/errors.ts';
import { readYaml, readYamlText } from '../../../node/yaml.ts';
import { simulationMarkdown, simulationReport } from '../../../sim/report/scenario.ts';
import { createNetwork } from '../../../sim/world/network.ts';
import { readScenario } from '../../../sim/world/scenario.ts';
import { simulate } from '../../../sim/world/simulate.ts';
import { TOYS } from '../../../sim/world/toy.ts';
import { ROOT, temporaryFolder } from '../../support.ts';

const SEED = process.env.SEED ?? '1';
const REPLAY = `replay with SEED=${SEED} npm test -- simulate`;
const runsOf = (more: object) =>
  readScenario({ name: 'x', seeds: [SEED], peers: 8, size: 20, settings: { rounds: 12 }, ...more }, 'x').runs;
const resultOf = async (more: object) => (await simulate(runsOf(more)[0]!)).result;

test('every committed scenario is well formed', () => {
  const folder = join(ROOT, 'sim', 'scenarios');
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  assert.ok(files.length >= 10);
  for (const file of files) {
    const { given, source } = readYaml(join(folder, file), 'a scenario');
    const spec = readScenario(given, source);
    assert.is(`${spec.name}.yaml`, file);
    assert.ok(spec.runs.length >= 3, file);
  }
});

test('a scenario is checked whole before it begins', () => {
  const wrong = (more: object): string => {
    try {
      runsOf(more);
    } catch (error) {
      return error instanceof UserError ? error.message : String(error);
    }
    return 'none';
  };
  assert.is(wrong({}), 'none');
  assert.match(wrong({ peer: 3 }), /^x: peer: no such field; did you mean peers\?$/);
  assert.match(wrong({ wholly: 3 }), /^x: wholly: no such field; wanted one of name, about, seeds/);
  assert.match(wrong({ peers: 2.5 }), /^x: peers: got 2\.5; wanted a whole number, 1 or more$/);
  assert.match(wrong({ peers: null }), /peers: got null; wanted a whole number/);
  assert.match(wrong({ latencyMs: [9, 3] }), /latencyMs: got \[9,3\]; wanted \[least, most\]/);
  assert.match(wrong({ loss: 2 }), /loss: got 2; wanted a share/);
  assert.match(
    wrong({ trainer: 'lore' }),
    /trainer: got "lore"; wanted none, quadratic, logistic, lora; did you mean lora/,
  );
  assert.match(wrong({ partition: { fromMs: 3 } }), /partition\.untilMs: missing; wanted a number.*and 1 more/);
  assert.match(wrong({ stragglers: 3 }), /stragglers: got 3; wanted/);
  assert.match(wrong({ liars: { share: 0.1, kind: 'garbge' } }), /liars\.kind: got "garbge".*did you mean garbage/);
  assert.match(
    wrong({ liars: { share: 0, kind: 'stale', often: 1 } }),
    /liars\.often: no such field; wanted one of share, kind/,
  );
  assert.match(
    wrong({ learning: { goldPerClas: 1 } }),
    /learning\.goldPerClas: no such field.*did you mean goldPerClass/,
  );
  assert.match(
    wrong({ vary: { peerz: [1] } }),
    /vary\.peerz: no such field that may vary, or setting; did you mean peers/,
  );
  assert.match(wrong({ vary: { loss: [] } }), /vary\.loss: got \[\]; wanted a list of values/);
  assert.match(wrong({ points: [{}, { loss: 7 }] }), /points\[1\]\.loss: got 7/);
  assert.match(wrong({ points: [{}], vary: { loss: [0] } }), /points: stand beside vary; wanted one of them/);
  assert.match(wrong({ settings: { schedule: 'line' } }), /settings\.schedule: got "line"; wanted/);
  assert.match(wrong({ settings: { seed: 4 } }), /settings\.seed: cannot be set here; wanted seeds/);
  assert.match(wrong({ seeds: [] }), /seeds: got \[\]; wanted a list/);
  assert.match(
    wrong({ seeds: '1..3' }),
    /seeds: got "1\.\.3"; wanted a list of seeds, such as \[1, 2, 3\], or --seeds 1\.\.3/,
  );
  assert.match(wrong({ seeds: ['1..x'] }), /seeds\[0\]: got "1\.\.x"; wanted seeds one by one/);
  assert.match(wrong({ seeds: [1, 2, '1'] }), /seeds\[2\]: 1 stands twice/);
});

test('a graph of edges is refused by line where it cannot be meant, and in parts where the file does not say so', () => {
  const folder = temporaryFolder();
  const told = (edges: string, more: readonly string[] = []): string => {
    writeFileSync(join(folder, 'edges.txt'), edges);
    const text = ['name: x', 'peers: 4', 'seeds: [1]', 'edgesFile: edges.txt', ...more].join('\n');
    const { given, source } = readYamlText(text, join(folder, 'x.yaml'), 'a scenario');
    try {
      return readScenario(given, source).notes.join('').replace(`${folder}/`, '');
    } catch (error) {
      return (error as Error).message.replace(`${folder}/`, '');
    }
  };
  assert.is(told('0 1\n1 2\n2 3\n'), '');
  assert.match(
    told('# from one\n1 2\n2 3\n3 4\n'),
    /^x\.yaml:4: edgesFile: edges\.txt:4: edge 3-4: there is no peer 4.*begin with 1/,
  );
  assert.match(told('0 1\n\n1 2\n2 3\n1 0\n'), /^x\.yaml:4: edgesFile: edges\.txt:5: edge 1-0: stands twice/);
  assert.match(told('0 1\n2 2\n'), /^x\.yaml:4: edgesFile: edges\.txt:2: edge 2-2: joins a peer to itself/);
  assert.match(told('0 1\n2 3\n'), /^x\.yaml:4: edgesFile: the graph is in 2 parts .*wanted one part, or parts: 2/);
  assert.match(told('0 1\n1 2\n'), /in no edge: 3; wanted one part/);
  assert.is(told('0 1\n2 3\n', ['parts: 2']), '');
  assert.match(told('0 1\n2 3\n', ['parts: 3']), /^x\.yaml:5: parts: got 3; the graph is in 2/);
  // Where nothing is learned the graph itself is looked at, and it is enough to be told.
  assert.match(
    told('0 1\n2 3\n', ['trainer: none']),
    /^x\.yaml:4: edgesFile: the graph is in 2 parts [^;]*; 2 to 3\), which never come together$/,
  );
  assert.match(
    told('0 1\n', ['settings: { schedule: ring }']),
    /^x\.yaml:5: settings\.schedule: got "ring" beside edgesFile/,
  );
  assert.match(
    told('0 1\n', ['points: [{ edgesFile: gone.txt }]']),
    /^x\.yaml:5: points\[0\]\.edgesFile: gone\.txt cannot be read/,
  );
  const inline = (edges: string) => () => runsOf({ settings: { schedule: 'edges', edges } });
  assert.throws(inline('0-1,1-2,2-9'), /settings\.edges: edge 2-9: there is no peer 9/);
  assert.throws(inline('0-1,2-3'), /settings\.edges: the graph is in 6 parts/);
});

test('a network delays within its bounds, loses and repeats its shares, and a line carries one message after the other', () => {
  const network = createNetwork({ latencyMs: [10, 30], loss: 0.2, duplication: 0.5 }, 2, SEED);
  const arrivals = Array.from({ length: 4000 }, () => network.arrivals(0, 1, 100, 1000));
  const lost = arrivals.filter((a) => a.length === 0).length / 4000;
  const twice = arrivals.filter((a) => a.length === 2).length / 4000;
  assert.ok(Math.abs(lost - 0.2) < 0.03 && Math.abs(twice - 0.4) < 0.03, `${lost} ${twice}; ${REPLAY}`);
  assert.ok(arrivals.flat().every((at) => at >= 1010 && at <= 1030));
  // 1 Mbit/s: a thousand bytes take 8 ms.
  const thin = createNetwork({ latencyMs: [0, 0], bandwidthMbps: 1 }, 3, SEED);
  assert.equal(
    [
      thin.arrivals(0, 1, 1000, 0),
      thin.arrivals(0, 2, 1000, 0),
      thin.arrivals(1, 2, 1000, 0),
      thin.arrivals(0, 1, 1000, 100),
    ],
    [[8], [16], [8], [108]],
  );
});

test('a partition cuts both ways or one, for its time; two hidden peers never meet', () => {
  const partition = { fromMs: 100, untilMs: 200, share: 0.25, oneWay: false };
  const cut = createNetwork({ latencyMs: [1, 1], partition }, 4, SEED);
  const arrives = (network: typeof cut, from: number, to: number, at: number): boolean =>
    network.arrivals(from, to, 1, at).length > 0;
  assert.equal(
    [arrives(cut, 0, 3, 99), arrives(cut, 0, 3, 150), arrives(cut, 3, 0, 150), arrives(cut, 0, 3, 200)],
    [true, false, false, true],
  );
  assert.equal([arrives(cut, 0, 2, 150), cut.canConnect(0, 3, 150), cut.canConnect(0, 2, 150)], [true, false, true]);
  const oneWay = createNetwork({ latencyMs: [1, 1], partition: { ...partition, oneWay: true } }, 4, SEED);
  assert.equal([arrives(oneWay, 0, 3, 150), arrives(oneWay, 3, 0, 150)], [true, false]);
  const nat = createNetwork({ natShare: 0.5 }, 10, SEED);
  const pairs = Array.from({ length: 10 }, (_, a) =>
    Array.from({ length: a }, (_, b) => nat.canConnect(a, b, 0)),
  ).flat();
  assert.is(pairs.filter((met) => !met).length, 10); // of five hidden peers
});

for (const [name, more] of Object.entries({
  'nothing wrong': {},
  'loss and repeats': { loss: 0.3, duplication: 0.3 },
  crashes: { crashes: 10, loss: 0.1 },
  'a cut in two': { partition: { fromMs: 500, untilMs: 2500, share: 0.5, oneWay: false } },
  'a one-way cut': { partition: { fromMs: 500, untilMs: 2500, share: 0.5, oneWay: true } },
  'peers behind NAT': { natShare: 0.5 },
  stragglers: { stragglers: { share: 0.25, slowdown: 6 } },
  'a thin line': { bandwidthMbps: 0.5 },
})) {
  test(`${name}: everybody finishes and the mean stays`, async () => {
    const result = await resultOf(more);
    assert.is(result.finished, 8, REPLAY);
    assert.ok(result.drift! < 1e-6, `drift ${result.drift}; ${REPLAY}`);
    // Two hidden peers never meet: what never left is no exchange, so nothing is given up.
    assert.is(result.abandoned, 0, REPLAY);
    assert.ok(name !== 'crashes' || result.restarts > 3, REPLAY);
  });
}

test('exchanges that were open for long are mixed in all at once without moving peers past each other', async () => {
  for (const peers of [2, 4, 8]) {
    const result = await resultOf({
      peers,
      partition: { fromMs: 400, untilMs: 5000, share: 0.5, oneWay: false },
      settings: { rounds: 9, roundDeadlineMs: 400, maxOpenRounds: 64, closingRounds: 0 },
    });
    assert.is(result.finished, peers, REPLAY);
    assert.ok(result.drift! < 1e-6, REPLAY);
    assert.ok(result.apart < 1, `${peers} peers ended ${result.apart} apart; ${REPLAY}`);
  }
});

test('of exchanges with the slow that there is no room for both ends get out, so the mean stays', async () => {
  const result = await resultOf({
    peers: 16,
    trainMs: [100, 200],
    stragglers: { share: 0.2, slowdown: 60 },
    settings: { rounds: 40, roundDeadlineMs: 500, maxOpenRounds: 1, latecomers: 'keep' },
  });
  assert.ok(result.cancelled > 0, REPLAY);
  assert.is(result.abandoned, 0, REPLAY);
  assert.is(result.undecided, 0, REPLAY);
  assert.ok(result.drift! < 1e-6, `${result.drift}; ${REPLAY}`);
});

test('toys come near what all their data ask for, and nearer than a peer alone', async () => {
  for (const trainer of ['quadratic', 'logistic']) {
    const settings = { rounds: 25, localSteps: 4, learningRate: 0.2 };
    const together = await resultOf({ trainer, peers: 12, settings });
    const toy = TOYS[trainer]!({
      seed: SEED,
      peers: 12,
      size: 20,
      learningRate: 0.2,
      steps: 4,
      points: 16,
      skew: 0,
      dirichlet: 0,
      flipped: 0,
    });
    let alone = toy.start(0);
    for (let round = 0; round < 25; round++) alone = toy.train(0, round, alone);
    assert.ok(
      together.loss < 0.75 * toy.loss(alone),
      `${trainer}: ${together.loss}, alone ${toy.loss(alone)}; ${REPLAY}`,
    );
    assert.is(together.drift, null);
  }
});

test('skewed labels: one class alone teaches a peer its bias, and the peers together still learn', async () => {
  const of = (skew: number) => {
    const options = {
      seed: SEED,
      peers: 8,
      size: 10,
      learningRate: 0.2,
      steps: 100,
      points: 60,
      skew,
      dirichlet: 0,
      flipped: 0,
    };
    const toy = TOYS.logistic!(options);
    const alone = Array.from({ length: 8 }, (_, i) => toy.loss(toy.train(i, 0, toy.start(i))));
    return alone.reduce((a, b) => a + b, 0) / 8;
  };
  const [alike, half, unlike] = [of(0), of(0.5), of(1)];
  assert.ok(alike < half && half < unlike && unlike > alike + 0.1, `${alike}, ${half}, ${unlike}; ${REPLAY}`);
  const settings = { rounds: 40, schedule: 'full', localSteps: 2 };
  const together = await resultOf({ trainer: 'logistic', skew: 1, size: 10, samples: 60, settings });
  assert.ok(together.loss < unlike - 0.1, `${together.loss}; ${REPLAY}`);
});

test('the same run has the same trace and the same state at any time; another seed another', async () => {
  const [run] = runsOf({ loss: 0.2, crashes: 3 });
  const [other] = runsOf({ loss: 0.2, crashes: 3, seeds: ['another'] });
  const traceOf = async (of: typeof run) => (await simulate(of!)).result.trace;
  assert.is(await traceOf(run), await traceOf(run));
  assert.is.not(await traceOf(run), await traceOf(other));
  const stateOf = async () => (await simulate(run!, { untilMs: 900 })).world;
  const [a, b] = [await stateOf(), await stateOf()];
  assert.is(a.now(), 900);
  assert.is(a.trace(), b.trace());
  assert.equal(
    a.seats.map(({ peer }) => [peer.round, peer.phase]),
    b.seats.map(({ peer }) => [peer.round, peer.phase]),
  );
});

test('a report tells rounds, spectrum and faults, and needs nothing else to be looked at', async () => {
  const runs = runsOf({ points: [{ schedule: 'ring' }, { loss: 0.1 }] });
  const all = await Promise.all(runs.map(async (run) => ({ run, result: (await simulate(run)).result })));
  const markdown = simulationMarkdown({ name: 'x', about: '', runs: all }, all, 'cmd');
  assert.match(markdown, /\| schedule ring \| /);
  assert.match(markdown, /\| loss 0\.1 \| /);
  const page = simulationReport({ name: 'x', about: 'a < b', runs: all }, all, 'cmd');
  assert.is(page.about, 'a < b');
  const [graph] = page.sections.at(-1)!.graphs!;
  assert.equal([graph!.rounds.length, graph!.rounds[0]!.length], [12, 8]);
  assert.not.match(JSON.stringify(page), /NaN|null/);
});

test.run();
