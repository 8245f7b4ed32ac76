/** @file What a host takes in at most, and how long it waits: every limit of the network in one place. */

export const SEND_DEADLINE_MS = 30_000;
export const DIAL_DEADLINE_MS = 10_000;
export const STOP_DEADLINE_MS = 3_000;
/** Of the adapter that a run starts from, at once, and how long each piece may take. */
export const PIECE_BYTES = 64 * 1024;
export const PIECE_DEADLINE_MS = 10_000;
export const MAX_RUN_BYTES = 64 * 1024;
export const MAX_PUBLISHED_BYTES = 4096;
/** Of a question or an answer that is one word. */
export const MAX_WORD_BYTES = 16;
export const MAX_INBOUND_STREAMS = 32;
export const MAX_OUTBOUND_STREAMS = 256;
/** How often gossipsub lets scores decay. */
export const SCORE_TICK_MS = 1000;
export const REJECT_HALF_LIFE_MS = 10 * 60_000;
/** Of what gossipsub decodes and keeps. */
export const GOSSIP_LIMITS = {
  decodeRpcLimits: {
    maxSubscriptions: 16,
    maxMessages: 256,
    maxIhaveMessageIDs: 1024,
    maxIwantMessageIDs: 1024,
    maxIdontwantMessageIDs: 1024,
    maxControlMessages: 256,
    maxPeerInfos: 16,
  },
  maxInboundDataLength: 256 * 1024,
  maxOutboundBufferSize: 4 * 1024 * 1024,
};
