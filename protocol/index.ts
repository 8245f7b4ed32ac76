/** @file The protocol for others to drive: a peer, its step, its settings, and what goes over the wire. */
export { addCodec, CODECS, type Codec, type CodecName } from './codec.ts';
export { canonicalSettings, parseSettings, type RunSettings } from './config.ts';
export type { Effect, Event, Metric } from './events.ts';
export { decodeFrame, encodeFrame, type Frame, type Hash, type Message, maxFrameBytes, type Refusal } from './frame.ts';
export { edgeWeight, mix } from './mixing.ts';
export { drawGraph, drawNeighbours } from './neighbours.ts';
export type { Context } from './outbox.ts';
export { createPeer, type Peer, restorePeer, snapshotOf, totalRounds } from './peer.ts';
export { createPrng, type Prng } from './prng.ts';
export { addRule, type Circumstances, RULES, type Rule, type RuleName } from './rules.ts';
export type { ScheduleName } from './schedules.ts';
export { SETTINGS } from './settings.ts';
export { decodeSnapshot, encodeSnapshot, type Snapshot } from './snapshot.ts';
export { step } from './step.ts';
export { disagreement, mean } from './vector.ts';
