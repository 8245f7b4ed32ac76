/** @file What everybody hears: announcements, each with its author's proof; what is refused, and who pays for passing it on. */
import { type Message, type PeerId, TopicValidatorResult } from '@libp2p/interface';
import type { Refusal } from '../protocol/frame.ts';
import { decodeAnnouncement, encodeAnnouncement, MAX_PREAMBLE_BYTES } from './admission/announcement.ts';
import type { Book } from './admission/book.ts';
import type { Doorkeeper } from './admission/doorkeeper.ts';
import type { Defence } from './defence.ts';
import { MAX_PUBLISHED_BYTES } from './limits.ts';

/** What is used of gossipsub. */
interface PubSub {
  readonly topicValidators: {
    set(topic: string, validate: (via: PeerId, message: Message) => TopicValidatorResult): unknown;
  };
  addEventListener(
    type: 'gossipsub:message',
    listener: (event: { detail: { msg: Message; propagationSource: PeerId } }) => void,
  ): void;
}

/** Takes in what is published under a topic. */
export function listenTo(
  pubsub: PubSub,
  options: {
    topic: string;
    own: string;
    book: Book;
    defence: Defence;
    keeper: Doorkeeper;
    validate: (from: string, frame: Uint8Array) => boolean;
    onFrame: (from: string, frame: Uint8Array, via: string) => Promise<void>;
    onBans: (from: string, ids: readonly string[]) => void;
    onRefuse: (id: string, code: Refusal) => void;
  },
): void {
  const { topic, own, book, defence, keeper, validate, onFrame, onBans, onRefuse } = options;
  pubsub.topicValidators.set(topic, (via, message) => {
    if (message.type !== 'signed' || message.data.length > MAX_PUBLISHED_BYTES) return TopicValidatorResult.Reject;
    const from = message.from.toString();
    if (!defence.announcement(from, via.toString())) return TopicValidatorResult.Ignore;
    const announced = decodeAnnouncement(message.data);
    if (!announced || !validate(from, announced.frame)) return TopicValidatorResult.Reject;
    const denial = keeper.admit(from, announced.proof);
    if (!denial) return TopicValidatorResult.Accept;
    onRefuse(from, denial.code);
    // Others may know better, but not of what nobody can believe.
    return denial.code === 'not-admitted' ? TopicValidatorResult.Reject : TopicValidatorResult.Ignore;
  });
  pubsub.addEventListener('gossipsub:message', ({ detail: { msg, propagationSource } }) => {
    const from = msg.type === 'signed' ? msg.from.toString() : '';
    const announced = decodeAnnouncement(msg.data);
    if (!announced || from === own || !book.isAdmitted(from) || defence.isBanned(from)) return;
    if (announced.bans.length > 0) onBans(from, announced.bans);
    onFrame(from, announced.frame, propagationSource.toString()).catch(() => {});
  });
}

/** A frame as it is published. Throws where it is too long. */
export function announcementOf(book: Book, frame: Uint8Array): Uint8Array {
  if (frame.length > MAX_PUBLISHED_BYTES - MAX_PREAMBLE_BYTES)
    throw new Error(`${frame.length} bytes are too many to publish`);
  return encodeAnnouncement({ proof: book.proof(), bans: book.bansToTell(), frame });
}
