/** @file Lorikeet as a library: what goes wrong says so in a form that programs can read, and a signal ends whatever waits. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Aggregator, createSwarm, joinSwarm, type Learner, type Mistake, UserError } from '../../node/index.ts';
import { createFeed, type SwarmEvent } from '../../node/library/events.ts';
import { startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

/** Trains nothing, so that nothing has to be computed. */
const idle: Learner = {
  ...{ objective: 'classify', labelled: 1, unlabelled: 0, alone: null },
  train: async ({ vector }) => ({ vector, losses: [], diverged: null }),
};

const mistakeOf = async (promise: Promise<unknown>): Promise<[Mistake, string]> => {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, UserError);
    return [(error as UserError).mistake, (error as UserError).message];
  }
  throw new Error('nothing was thrown');
};

const collect = async (events: AsyncIterable<SwarmEvent>): Promise<SwarmEvent[]> => {
  const all: SwarmEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
};

test('what a program gets wrong is a UserError of a kind, and leaves nothing behind', async () => {
  const [noData, saysNoData] = await mistakeOf(createSwarm());
  assert.is(noData, 'usage');
  assert.match(saysNoData, /^data: left out/);
  const state = join(temporaryFolder(), 'state');
  const given = { trainer: idle, state };
  const asked = createSwarm({ ...given, settings: { rule: 'own-nobody' } });
  assert.match((await mistakeOf(asked))[1], /rule: got "own-nobody"; wanted mean \| .*brought along by a program/);
  assert.match((await mistakeOf(createSwarm({ data: [], state })))[1], /^data: holds no rows/);
  assert.match((await mistakeOf(createSwarm({ data: [{ text: '' }], state })))[1], /^data:1: text is missing/);
  assert.match((await mistakeOf(joinSwarm('lorikeet1:nowhere', given)))[1], /invite/);
  assert.not.ok(existsSync(state));
});

test('names and ids of what a program brings along are its own', async () => {
  const rule: Aggregator = { name: 'median', type: 'pairwise', conserves: 'the mean', about: '', share: () => 1 };
  const brought = (aggregator: Aggregator): Promise<unknown> => createSwarm({ trainer: idle, aggregator });
  assert.match((await mistakeOf(brought(rule)))[1], /^got the name "median"; wanted own-/);
  await using swarm = await createSwarm({ trainer: idle, aggregator: { ...rule, name: 'own-once' } });
  assert.is(swarm.run.settings.rule, 'own-once');
  assert.match((await mistakeOf(brought({ ...rule, name: 'own-once' })))[1], /^own-once: stands for another object/);
});

test('who brings another rule than the run has is told so', async () => {
  const rule: Aggregator = { name: 'own-other', type: 'pairwise', conserves: 'the mean', about: '', share: () => 1 };
  await using swarm = await createSwarm({ trainer: idle });
  const [kind, said] = await mistakeOf(joinSwarm(swarm.invite(), { trainer: idle, aggregator: rule }));
  assert.is(kind, 'incompatible');
  assert.is(said, "joinSwarm: the run's rule is clip, not own-other");
});

test('a command line that joins a run of a program with a rule of its own is told what is missing', async () => {
  const rule: Aggregator = { name: 'own-program', type: 'pairwise', conserves: 'the mean', about: '', share: () => 1 };
  await using swarm = await createSwarm({ trainer: idle, aggregator: rule });
  const folder = temporaryFolder();
  writeTexts(folder, 'mine.tsv', ['a joy to watch', 'boring and far too long']);
  const { code, err } = await startIn(folder, ['join', swarm.invite(), '--data', 'mine.tsv', '--no-ui']).done;
  assert.is(code, 2);
  assert.match(err, /rule: got "own-program"; wanted mean \| .* is brought along by a program \(docs\/library\.md\)/);
});

test('a signal ends joining, too', async () => {
  const state = join(temporaryFolder(), 'state');
  const swarm = await createSwarm({ trainer: idle });
  const control = new AbortController();
  const joining = joinSwarm(swarm.invite(), { trainer: idle, state, signal: control.signal }).then(() => '', String);
  control.abort(new Error('changed my mind'));
  assert.is(await joining, 'Error: changed my mind');
  await swarm.stop();
});

test('a rule that gives what is no adapter stops its peer', async () => {
  const broken: Aggregator = {
    ...{ name: 'own-broken', type: 'joint', conserves: 'nothing', about: '' },
    join: (own) => own.map(() => Number.NaN),
  };
  await using anna = await createSwarm({ trainer: idle, aggregator: broken });
  await using _bert = await joinSwarm(anna.invite(), { trainer: idle, aggregator: broken });
  const error = await anna.finished.then(() => null, String);
  assert.match(String(error), /the rule own-broken gave \d+ numbers; wanted \d+ that are finite/);
});

test('a signal ends a peer that waits: what waits throws its reason, and the state is free to go on from', async () => {
  const state = join(temporaryFolder(), 'state');
  const control = new AbortController();
  const swarm = await createSwarm({ trainer: idle, state, signal: control.signal });
  const reading = collect(swarm.events()).then(() => 'ended', String);
  const failed = swarm.finished.then(() => null, String);
  control.abort(new Error('enough'));
  assert.is(await failed, 'Error: enough');
  assert.is(await reading, 'ended');
  await swarm.stop();
  assert.is(await createSwarm({ trainer: idle, signal: control.signal }).then(() => '', String), 'Error: enough');
  await using again = await createSwarm({ trainer: idle, state });
  assert.is(again.runId, swarm.runId);
  assert.is(again.id, swarm.id);
});

test('a temporary state is gone with its peer, and finished resolves', async () => {
  const swarm = await createSwarm({ trainer: idle });
  assert.ok(existsSync(swarm.state));
  await swarm.stop();
  await swarm.stop();
  await swarm.finished;
  assert.not.ok(existsSync(swarm.state));
  assert.equal(
    (await collect(swarm.events())).filter(({ type }) => type === 'finished'),
    [],
  );
});

test('paused, a peer begins no training until it goes on', async () => {
  await using anna = await createSwarm({ trainer: idle, settings: { rounds: 1 } });
  anna.pause();
  await using bert = await joinSwarm(anna.invite(), { trainer: idle });
  for await (const event of bert.events()) if (event.type === 'trained') break;
  assert.is(anna.view.round, 0);
  assert.ok(anna.view.isHeld);
  anna.resume();
  await Promise.all([anna.finished, bert.finished]);
  assert.is(anna.view.mixedWith[bert.id], 3);
});

test('who reads late is told how much has gone, and a signal ends the reading', async () => {
  const feed = createFeed();
  for (let round = 0; round < 1005; round++) feed.push({ type: 'trained', round, loss: null });
  const reading = feed.read();
  assert.equal((await reading.next()).value, { type: 'skipped', count: 5 });
  assert.equal((await reading.next()).value, { type: 'trained', round: 5, loss: null });
  const waiting = createFeed();
  const control = new AbortController();
  const next = waiting
    .read(control.signal)
    .next()
    .then(() => '', String);
  control.abort(new Error('no longer'));
  assert.is(await next, 'Error: no longer');
  waiting.end();
  assert.equal(await collect(waiting.read()), []);
});

test.run();
