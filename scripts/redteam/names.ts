/** @file Names to attack under: keys that cost nothing, with what they show for themselves; of an invite, one for each of its places. */
import { encodeChain } from '../../node/admission/chain.ts';
import { generateKey, idOfKey } from '../../node/admission/identity.ts';
import { type Ticket, takePlace } from '../../node/admission/ticket.ts';
import { parseInvite } from '../../node/invite.ts';
import type { Target } from './attack.ts';

export interface Name {
  readonly id: string;
  readonly key: Uint8Array;
  /** How it belongs to the run, as it says; empty: it says nothing. */
  readonly proof: Uint8Array;
}

/** Makes up names; `proofOf` gives what each shows. */
export async function makeUp(count: number, proofOf: (id: string, i: number) => Uint8Array): Promise<Name[]> {
  const keys = await Promise.all(Array.from({ length: count }, () => generateKey()));
  return keys.map((key, i) => {
    const id = idOfKey(key)!;
    return { id, key, proof: proofOf(id, i) };
  });
}

/** Names of strangers. */
export function strangers(count: number): Promise<Name[]> {
  return makeUp(count, () => new Uint8Array());
}

/** What an invite shows of the run. */
export function openInvite({ invite }: Pick<Target, 'invite'>): { ticket: Ticket | null; runId: string } {
  const { ticket, runId } = parseInvite(invite);
  return { ticket, runId };
}

/** Names that take the places of the attacker's invite, one after the other; in an open run, as many as one likes. */
export function guests(target: Pick<Target, 'invite'>, count: number, first = 0): Promise<Name[]> {
  const { ticket, runId } = openInvite(target);
  return makeUp(count, (id, i) =>
    ticket ? encodeChain(takePlace(ticket, runId, id, (first + i) % ticket.pass.uses)) : new Uint8Array(),
  );
}
