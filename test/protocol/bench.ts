/** @file One peer with a hand on its clock: what tests of the protocol give it, and read off what it does. */
import { CODECS } from '../../protocol/codec.ts';
import type { Effect, Event } from '../../protocol/events.ts';
import { decodeFrame, encodeFrame, type Message } from '../../protocol/frame.ts';
import { createPeer, type Peer } from '../../protocol/peer.ts';
import { step } from '../../protocol/step.ts';
import { quickHash } from '../../sim/world/digest.ts';
import { settingsWith } from '../support.ts';

export const RUN = '00112233445566778899aabbccddeeff';

/** A peer `a` with a hand on its clock, and frames from others. */
export function bench(more: Record<string, unknown> = {}, adapter: Float32Array = Float32Array.of(0, 0, 0)) {
  const peer = createPeer({ id: 'a', runId: RUN, settings: settingsWith({ codec: 'f32', ...more }), adapter });
  let now = 1000;
  let sequence = 0;
  const effects = (event: Event): Effect[] => step(peer, event, { now, hash: quickHash });
  const frame = (from: string, message: Message, runId = RUN): Effect[] =>
    effects({ type: 'frame', from, bytes: encodeFrame({ message, sequence: sequence++ }, runId, quickHash) });
  const meet = (id: string, round = 0): Effect[] => {
    effects({ type: 'peer', id, up: true });
    return frame(id, { type: 'announce', round, state: 'joined', addresses: [] });
  };
  const train = (values: number[]): Effect[] =>
    effects({ type: 'trained', round: peer.round, adapter: Float32Array.from(values), stats: { loss: 1 } });
  return { peer, effects, frame, meet, train, wait: (ms: number) => (now += ms) };
}

export function data(round: number, values: readonly number[], degree = 1): Message {
  const payload = CODECS.f32.encode(Float32Array.from(values));
  const radius = Number.POSITIVE_INFINITY;
  return { type: 'data', round, degree, radius, codec: 'f32', count: values.length, payload };
}

/** The messages sent, as `type to round`. */
export function sent(effects: readonly Effect[], peer: Peer): string[] {
  return effects.flatMap((effect) => {
    if (effect.type !== 'send') return [];
    const decoded = decodeFrame(effect.bytes, { runId: RUN, count: peer.adapter.length, codec: 'f32' }, quickHash);
    return decoded.ok ? [`${decoded.frame.message.type} ${effect.to} ${decoded.frame.message.round}`] : ['?'];
  });
}
