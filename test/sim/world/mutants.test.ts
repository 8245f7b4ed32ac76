/** @file Breaks each invariant on purpose, one way at a time, and sees the checks of the fuzzed worlds go red. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Effect, Event } from '../../../protocol/events.ts';
import { decodeFrame, encodeFrame, type Message } from '../../../protocol/frame.ts';
import type { Context } from '../../../protocol/outbox.ts';
import { type Peer, snapshotOf } from '../../../protocol/peer.ts';
import { step } from '../../../protocol/step.ts';
import { quickHash } from '../../../sim/world/digest.ts';
import { fuzzOnce } from '../../../sim/world/fuzz.ts';

/** A peer that decides wrongly: what it does instead of `step`. */
type Mutant = (peer: Peer, event: Event, context: Context) => Effect[];

function messageOf(peer: Peer, bytes: Uint8Array): Message | null {
  const codec = peer.settings.codec as 'f32';
  const decoded = decodeFrame(bytes, { runId: peer.runId, count: peer.adapter.length, codec }, quickHash);
  return decoded.ok ? decoded.frame.message : null;
}

/** The kind of message an effect sends. */
const said = (peer: Peer, effect: Effect): Message['type'] | null =>
  effect.type === 'send' ? (messageOf(peer, effect.bytes)?.type ?? null) : null;

const isAck = (peer: Peer, effect: Effect): boolean => said(peer, effect) === 'ack';

/** A message of its own making. */
function sending(peer: Peer, to: string, message: Message): Effect {
  const sequence = peer.boot * 2 ** 32 + peer.frames++;
  return { type: 'send', to, bytes: encodeFrame({ message, sequence }, peer.runId, quickHash) };
}

/** The effects but their save, where one of them is meant. */
function withoutSave(effects: Effect[], isMeant: (effect: Effect) => boolean): Effect[] {
  return effects.some(isMeant) ? effects.filter(({ type }) => type !== 'save') : effects;
}

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
    seen: /mixed round .* a second time|the mean moved/,
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
    seen: /the mean moved|which has not mixed its/,
  },
  'weighs by its own degree alone': {
    mutant: after((peer) => {
      for (const { edges } of peer.exchanges)
        for (const [id, edge] of Object.entries(edges)) edges[id] = { ...edge, degree: 1 + (id.charCodeAt(9) % 5) };
    }),
    seen: /the mean moved|weights of a round sum/,
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
    seen: /exchanges out of order|two exchanges are open/,
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
        held.set(`nobody-${i}`, { from: `nobody-${i}`, round: 1, degree: 1, radius: 1, payload: new Uint8Array() });
      peer.inbox.set(1, held);
    }),
    seen: /\d+ adapters are held/,
  },
  'never reminds: what was lost stays lost': {
    mutant: (peer, event, context) =>
      event.type === 'timer' && event.name === 'retry' ? [] : step(peer, event, context),
    seen: /exchanges are undecided/,
  },
  'gives up alone what is late, and says so': {
    mutant: (peer, event, context) => {
      const effects = step(peer, event, context);
      if (!effects.some((effect) => effect.type === 'report' && effect.metric.type === 'mixed')) return effects;
      const given = peer.exchanges.flatMap(({ round, edges }) =>
        Object.keys(edges)
          .filter((id) => !edges[id]!.received)
          .map((id) => ({ round, id })),
      );
      for (const { round, id } of given) delete peer.exchanges.find((e) => e.round === round)!.edges[id];
      const nacks = given.map(({ round, id }) => sending(peer, id, { type: 'nack', round }));
      return [...effects, { type: 'save', snapshot: snapshotOf(peer) }, ...nacks];
    },
    seen: /which has not mixed its|the mean moved/,
  },
  'mixes what it has asked out of': {
    mutant: (peer, event, context) => {
      for (const { edges } of peer.exchanges) for (const id of Object.keys(edges)) edges[id]!.cancelling = false;
      return step(peer, event, context);
    },
    seen: /which has not mixed its|the mean moved/,
  },
  'asks out before it is saved': {
    mutant: (peer, event, context) => withoutSave(step(peer, event, context), (e) => said(peer, e) === 'cancel'),
    seen: /asked .* out of round \d+ before it was saved/,
  },
  'lets others out although it has mixed': {
    mutant: (peer, event, context) => {
      const message = event.type === 'frame' ? messageOf(peer, event.bytes) : null;
      const effects = step(peer, event, context);
      if (event.type !== 'frame' || message?.type !== 'cancel') return effects;
      return effects.map((effect) =>
        said(peer, effect) === 'ack' ? sending(peer, event.from, { type: 'nack', round: message.round }) : effect,
      );
    },
    seen: /which has not mixed its|the mean moved/,
  },
  'lets others out and does not save it': {
    mutant: (peer, event, context) => withoutSave(step(peer, event, context), (e) => said(peer, e) === 'nack'),
    seen: /told .* that round \d+ is over while it is open/,
  },
  'forgets which rounds to come were called off': {
    mutant: after((peer) => peer.declined.clear()),
    seen: /which has not mixed its|the mean moved/,
  },
  'opens a second exchange with one that owes an answer': {
    mutant: after((peer) => {
      const [first, last] = [peer.exchanges[0], peer.exchanges.at(-1)];
      if (!first || !last || first === last) return;
      for (const id of Object.keys(first.edges)) last.edges[id] ??= { ...first.edges[id]! };
    }),
    seen: /two exchanges are open/,
  },
  'opens exchanges without bound': {
    mutant: (peer, event, context) => {
      const { settings } = peer;
      Object.assign(peer, { settings: { ...settings, maxOpenRounds: 64 } });
      const effects = step(peer, event, context);
      Object.assign(peer, { settings });
      return effects;
    },
    seen: /\d+ exchanges are open/,
  },
  'forgets what is undecided when it has finished': {
    mutant: after((peer) => {
      if (peer.phase === 'finished') peer.exchanges = [];
    }),
    seen: /which has not mixed its|the mean moved|exchanges are undecided/,
  },
  'takes silence for an agreement': {
    mutant: after((peer) => {
      for (const { round, edges } of peer.exchanges)
        for (const id of Object.keys(edges)) if (edges[id]!.cancelling && round < peer.round - 1) delete edges[id];
    }),
    seen: /which has not mixed its|the mean moved/,
  },
  'forgets after a crash that an adapter has left': {
    mutant: (peer, event, context) => {
      if (event.type === 'start')
        for (const { edges } of peer.exchanges) for (const id of Object.keys(edges)) edges[id]!.isUnsent = true;
      return step(peer, event, context);
    },
    seen: /which has not mixed its|the mean moved|told .* that round|exchanges are undecided/,
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
