/** @file What a host takes in at most, and how long it waits: every limit of the network in one place. */

export const SEND_DEADLINE_MS = 30_000;
export const DIAL_DEADLINE_MS = 10_000;
/** For the handshake of who calls: shorter than it waits, so that one with another key hears that it was hung up on. */
export const HANDSHAKE_DEADLINE_MS = 6000;
export const STOP_DEADLINE_MS = 3_000;
/** Of the adapter that a run starts from, at once, and how long each piece may take. */
export const PIECE_BYTES = 64 * 1024;
export const PIECE_DEADLINE_MS = 10_000;
export const MAX_RUN_BYTES = 64 * 1024;
/** An announcement with the proof beside it. */
export const MAX_PUBLISHED_BYTES = 5 * 1024;
/** How long the other end of a connection may take to show that it belongs to the run; what is said to that. */
export const PROOF_DEADLINE_MS = 8000;
export const MAX_REPLY_BYTES = 512;
/** Of a question or an answer that is one word. */
export const MAX_WORD_BYTES = 16;
/** For frames, of one connection: a peer sends over one, and opens another where that breaks. */
export const MAX_INBOUND_STREAMS = 8;
/** For questions, likewise. */
export const MAX_QUESTIONS = 4;
export const MAX_OUTBOUND_STREAMS = 256;
/** Tokens of a frame: one, and one more for each of so many bytes, up to a number. */
export const TOKEN_BYTES = 64 * 1024;
export const MAX_TOKENS = 250;
/** Frames of a peer, in tokens; more wait, and who keeps more waiting than this is dropped. */
export const FRAMES = { burst: 2000, perSecond: 250 };
export const HELD_FRAMES = { burst: 1500, perSecond: 20 };
/** Announcements of a peer, and all that one passes on. */
export const ANNOUNCEMENTS = { burst: 100, perSecond: 10 };
export const PASSED_ON = { burst: 1000, perSecond: 100 };
/** Announcements that wait to be read. */
export const MAX_WAITING_ANNOUNCEMENTS = 1024;
/** Questions of a peer. */
export const QUESTIONS = { burst: 8, perSecond: 1 };
/** Bytes that wait to leave to a peer, and that come in: of one peer and in all; or that many of the largest frames. */
export const LINE_ROOM = { bytes: 1024 * 1024, frames: 4 };
export const PEER_ROOM = { bytes: 128 * 1024, frames: 2 };
export const ALL_ROOM = { bytes: 64 * 1024 * 1024, frames: 8 };
/** How far a stream's sender may be ahead of its reader. */
export const MAX_WINDOW_BYTES = 1024 * 1024;
/** Streams that one connection opens, those of no protocol yet, and those of none that is known. */
export const STREAMS = { burst: 256, perSecond: 16 };
export const MAX_UNDECIDED_STREAMS = 32;
export const UNKNOWN_STREAMS = { burst: 32, perSecond: 1 };
export const MAX_MUXED_STREAMS = 128;
/** What is read of a connection a second while it takes nothing of what waits for it, and how long that may last. */
export const STALLED = { afterMs: 1000, waitingBytes: 64 * 1024, readBytes: 64 * 1024, closeAfterMs: 30_000 };
/** How long a stream may take to say of which protocol it is. */
export const PROTOCOL_DEADLINE_MS = 5000;
/** Connections that others open: of one address and in all, the handshakes among them, and new ones of one address. */
export const MAX_SLOTS_PER_ADDRESS = 128;
export const MAX_SLOTS = 320;
export const ARRIVALS = { burst: 256, perSecond: 10 };
/** How long a connection keeps its slot whatever it does, and how long it may say nothing. */
export const GRACE_MS = 2000;
export const SILENCE_MS = 8000;
export const SWEEP_MS = 1000;
/** Addresses of a peer that are dialled in one go, and of peers never met. */
export const MAX_DIALLED = 4;
/** And of ways by other members. */
export const MAX_RELAYED = 2;
export const STRANGE_DIALS = { burst: 32, perSecond: 2 };
/** Relaying for others: how many are relayed for, connections of one, and of each connection bytes and time. */
export const RELAY = { reservations: 64, streams: 64, bytes: 8n << 30n, durationMs: 12 * 3_600_000 };
/** What passes by way of this peer, in bytes, both ways together. */
export const RELAYED = { burst: 16 * 1024 * 1024, perSecond: 4 * 1024 * 1024 };
/** How many members relay for this peer; how often it looks after them, and waits after one has refused. */
export const RELAYS = { wanted: 2, lookMs: 1000, retryMs: 5000 };
/** How many at most are asked to call back, of those within this network and of those beyond. */
export const MAX_ASKED_BACK = 3;
/** Frames of a peer that has not shown that it belongs. */
export const UNPROVED = { burst: 16, perSecond: 0.1 };
/** Peers that are refused for good. */
export const MAX_BANNED = 4096;
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
