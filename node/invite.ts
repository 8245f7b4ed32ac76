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
  const [places = '', runId = ''] = text.trim().split('#');
  const addresses = places.split(',').filter((a) => a !== '');
  const wellFormed =
    addresses.length > 0 &&
    addresses.every((a) => /^\/(ip4|ip6|dns4|dns6|dns)\/[^/]+\/tcp\/\d+\/p2p\/[A-Za-z0-9]+$/.test(a) && validHost(a));
  if (!wellFormed || !new RegExp(`^[0-9a-f]{${RUN_ID_DIGITS}}$`).test(runId)) {
    throw new UserError(
      'usage',
      `invite: got "${text.slice(0, 80)}"; wanted /ip4/HOST/tcp/PORT/p2p/ID#RUN as "lorikeet up" prints it`,
    );
  }
  return { addresses, runId };
}

function validHost(address: string): boolean {
  const [, kind, host = ''] = address.split('/');
  if (kind === 'ip4') return isIP(host) === 4;
  return kind === 'ip6' ? isIP(host) === 6 : true;
}
