/** @file An invite: where a peer can be reached and which run it is: `ADDRESS[,ADDRESS...]#RUN-ID`. */
import { isIP } from 'node:net';
import { RUN_ID_DIGITS } from '../protocol/frame.ts';
import { UserError } from './errors.ts';

export interface Invite {
  /** Multiaddresses that end with the peer's id. */
  readonly addresses: readonly string[];
  readonly runId: string;
}

export function formatInvite(invite: Invite): string {
  return `${invite.addresses.join(',')}#${invite.runId}`;
}

/** Throws a UserError that says what an invite looks like. */
export function parseInvite(text: string): Invite {
  const [places = '', runId = '', ...junk] = text.trim().split('#');
  const addresses = places.split(',').filter((a) => a !== '');
  const wellFormed = junk.length === 0 && addresses.length > 0 && addresses.every(isAddress);
  if (!wellFormed || !new RegExp(`^[0-9a-f]{${RUN_ID_DIGITS}}$`).test(runId)) {
    throw new UserError(
      'usage',
      `invite: got "${text.slice(0, 300)}"; wanted /ip4/HOST/tcp/PORT/p2p/ID#RUN as "lorikeet up" prints it`,
    );
  }
  return { addresses, runId };
}

/** /ip4/HOST/tcp/PORT/p2p/ID and its like; ids are those of Ed25519 keys. */
function isAddress(address: string): boolean {
  const match = /^\/(ip4|ip6|dns4|dns6|dns)\/([^/]+)\/tcp\/(\d+)\/p2p\/12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.exec(address);
  if (!match || Number(match[3]) < 1 || Number(match[3]) > 65535) return false;
  const version = { ip4: 4, ip6: 6 }[match[1]!];
  return version === undefined || isIP(match[2]!) === version;
}
