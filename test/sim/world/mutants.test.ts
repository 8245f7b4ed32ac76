/** @file Breaks each invariant on purpose, one way at a time, and sees the checks of the fuzzed worlds go red. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Effect, Event } from '../../../protocol/events.ts';
import { decodeFrame, type Message } from '../../../protocol/frame.ts';
import type { Context } from '../../../protocol/outbox.ts';
import type { Peer } from '../../../protocol/peer.ts';
import { step } from '../../../protocol/step.ts';
import { fuzzOnce } from '../../../sim/world/fuzz.ts';
import { quickHash } from '../../../sim/world/world.ts';

/** A peer that decides wrongly: what it does instead of `step`. */
type Mutant = (peer: Peer, event: Event, context: Context) => Effect[];

function messageOf(peer: Peer, bytes: Uint8Array): Message | null {
  const codec = peer.settings.codec as 'f32';
  const decoded = decodeFrame(bytes, { runId: peer.runId, count: peer.adapter.length, codec }, quickHash);
  return decoded.ok ? decoded.frame.message : null;
}

const isAck = (peer: Peer, effect: Effect): boolean =>
  effect.type === 'send' && messageOf(peer, effect.bytes)?.type === 'ack';

/** Changes the peer before it takes in somebody's adapter. */
function beforeData(change: (peer: Peer, round: number, from: string) => void): Mutant {
  return (peer, event, context) => {
    if (event.type === 'frame') {
      const message = messageOf(peer, event.bytes);
      if (message?.type === 'data') change(peer, message.round, event.from);
    }
    return step(peer, event, context);
  };
}

/** Changes the peer after each step. */
function after(change: (peer: Peer, effects: readonly Effect[]) => void): Mutant {
  return (peer, event, context) => {
    const effects = step(peer, event, context);
    change(peer, effects);
    return effects;
  };
}

const MUTANTS: Readonly<Record<string, { readonly mutant: Mutant; readonly seen: RegExp }>> = {
  'drops the dedupe: an adapter that comes again is mixed in again': {
    mutant: beforeData((peer, round, from) => {
      const edge = peer.exchanges.find((exchange) => exchange.round === round)?.edges[from];
      if (edge) edge.received = false;
    }),
    seen: /would mix round .* a second time|the mean moved/,
  },
  'skips the save before it sends': {
    mutant: (peer, event, context) =>
      step(peer, event, context).filter((effect) => effect.type !== 'save' || effect.snapshot.phase !== 'exchanging'),
    seen: /sent an adapter of round \d+ that is not saved/,
  },
  'acknowledges before it saves': {
    mutant: (peer, event, context) => {
      const effects = step(peer, event, context);
      return [...effects.filter((effect) => isAck(peer, effect)), ...effects.filter((effect) => !isAck(peer, effect))];
    },
    seen: /acknowledged round \d+ of .* before it was saved/,
  },
  'renormalises what arrived: what is late is dropped by one end alone': {
    mutant: after((peer, effects) => {
      const mixed = effects.find((effect) => effect.type === 'report' && effect.metric.type === 'mixed');
      if (!mixed) return;
      for (const { edges } of peer.exchanges)
        for (const [id, edge] of Object.entries(edges)) if (!edge.received) delete edges[id];
    }),
    seen: /the mean moved/,
  },
  'weighs by its own degree alone': {
    mutant: after((peer) => {
      for (const { edges } of peer.exchanges)
        for (const [id, edge] of Object.entries(edges)) edges[id] = { ...edge, degree: 1 + (id.charCodeAt(9) % 5) };
    }),
    seen: /the mean moved|weights of a round sum|would mix/,
  },
  'reuses a sequence number': {
    mutant: after((peer) => {
      if (peer.frames > 20) peer.frames -= 5;
    }),
    seen: /number \d+ was used before/,
  },
  'counts its starts in memory only, so numbers begin anew after a crash': {
    mutant: (peer, event, context) => {
      if (event.type === 'start') peer.boot = 0;
      return step(peer, event, context);
    },
    seen: /number \d+ was used before/,
  },
  'goes back a round': {
    mutant: after((peer) => {
      if (peer.phase === 'training' && peer.round === 2) peer.round = 1;
    }),
    seen: /round fell from 2|not saved|did not finish/,
  },
  'opens an exchange of an old round again': {
    mutant: after((peer) => {
      const oldest = peer.exchanges[0];
      if (oldest && peer.exchanges.length > 1) peer.exchanges.push(oldest);
    }),
    seen: /exchanges out of order/,
  },
  'lets numbers that are not finite in': {
    mutant: after((peer) => {
      if (peer.round === 1 && peer.phase === 'exchanging') peer.adapter = peer.adapter.map(() => Number.NaN);
    }),
    seen: /the adapter's norm is NaN/,
  },
  'holds adapters without bound': {
    mutant: after((peer) => {
      if (peer.round !== 1) return;
      const held = new Map(peer.inbox.get(1));
      for (let i = 0; i < 600; i++)
        held.set(`nobody-${i}`, { from: `nobody-${i}`, round: 1, degree: 1, payload: new Uint8Array() });
      peer.inbox.set(1, held);
    }),
    seen: /\d+ adapters are held/,
  },
  'never reminds: what was lost stays lost': {
    mutant: (peer, event, context) =>
      event.type === 'timer' && event.name === 'retry' ? [] : step(peer, event, context),
    seen: /exchanges were given up/,
  },
  'sends an adapter it has not saved': {
    mutant: after((_peer, effects) => {
      for (const effect of effects)
        if (effect.type === 'save' && effect.snapshot.phase === 'exchanging')
          Object.assign(effect, {
            snapshot: { ...effect.snapshot, exchanges: effect.snapshot.exchanges.slice(0, -1) },
          });
    }),
    seen: /that is not saved/,
  },
};

/** Worlds tried for each, at most. */
const WORLDS = 200;

for (const [name, { mutant, seen }] of Object.entries(MUTANTS)) {
  test(`a peer that ${name} is seen`, async () => {
    const problems: string[] = [];
    for (let seed = 1; seed <= WORLDS; seed++) {
      const problem = await fuzzOnce(String(seed), mutant).catch((error: Error) => error.message);
      if (problem === null) continue;
      problems.push(problem);
      if (seen.test(problem)) return;
    }
    assert.unreachable(`${WORLDS} worlds saw nothing of it, but ${JSON.stringify(problems.slice(0, 5))}`);
  });
}

test('decisions that use dice or a clock change the trace from one run to the next', async () => {
  const { drawRun } = await import('../../../sim/world/fuzz.ts');
  const { simulate } = await import('../../../sim/world/simulate.ts');
  let calls = 0;
  const dice: Mutant = (peer, event, context) => {
    calls += 1;
    return step(peer, event, { ...context, now: context.now + 40 * (calls % 7) });
  };
  const traces: string[] = [];
  for (let i = 0; i < 3; i++) traces.push((await simulate(drawRun('3'), { step: dice })).result.trace);
  assert.ok(new Set(traces).size > 1, String(traces));
  assert.is((await simulate(drawRun('3'))).result.trace, (await simulate(drawRun('3'))).result.trace);
});

test.run();
