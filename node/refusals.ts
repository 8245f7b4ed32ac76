/** @file What is refused, in the words people read. */
import type { Refusal } from '../protocol/frame.ts';

/** What a refused message was, in words. */
export const REFUSED: Readonly<Record<Refusal, string>> = {
  malformed: 'not of this protocol, or cut',
  oversized: 'larger than any of this run',
  'wrong-version': 'of another version of lorikeet',
  'wrong-run': 'of another run',
  'bad-hash': 'damaged on the way',
  'wrong-shape': 'with an adapter of another shape',
  'not-finite': 'with numbers that are not finite',
  'huge-norm': 'with an adapter too large to believe',
  'stale-round': 'about a round that is over',
  'stale-sequence': 'heard before',
  'beyond-the-run': 'about a round the run does not have',
  'inbox-full': 'more than is kept at once',
  unasked: 'that nobody asked for',
  'far-ahead': 'from rounds ahead',
  'too-many-members': 'of members beyond the limit',
  'too-fast': 'faster than they are taken in',
  repeated: 'said a moment before',
  'unknown-protocol': 'over streams of an unknown protocol',
  silent: 'connections that said nothing of this run',
  'crowded-address': 'connections beyond what one address may have',
  'no-slot': 'connections beyond what there is room for',
  'slow-reader': 'not sent, since the other does not read',
  'unfit-address': 'with addresses nobody should dial',
  'not-admitted': 'of who does not belong to the run',
  'invite-expired': 'of who came after its invite had expired',
  'place-taken': 'of who takes the place of another',
  banned: 'of who is banned',
};
