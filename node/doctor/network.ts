/** @file How others reach a peer on this machine, in a sentence, and what to do about it. */
import type { CalledBack } from '../network/visits.ts';
import type { Machine } from './machine.ts';

export interface NetworkVerdict {
  /** `open`: others can connect; `shut`: they cannot; `unknown`: nobody was asked, or did not say; `none`: there is no network. */
  readonly state: 'open' | 'shut' | 'unknown' | 'none';
  readonly sentence: string;
  /** What to do; empty: nothing. */
  readonly advice: string;
}

/** `called` is null where nobody was asked; port 0 is any. */
export function judgeNetwork(
  addresses: Machine['network']['addresses'],
  called: CalledBack | null,
  port: number,
): NetworkVerdict {
  const door = port === 0 ? 'its port' : `port ${port}`;
  const forward = `let TCP ${port === 0 ? 'in at a port that --port names' : `port ${port} in`}, or have the router forward it and say --announce ADDRESS:PORT`;
  if (addresses.length === 0)
    return {
      state: 'none',
      sentence: 'nobody on another machine reaches a peer here: this machine has no address that others could use',
      advice: 'connect it to a network',
    };
  if (called?.isReached === true)
    return {
      state: 'open',
      sentence: `others reach a peer here directly: ${called.by} has connected to ${door}`,
      advice: '',
    };
  if (called?.isReached === false)
    return {
      state: 'shut',
      sentence: `others reach a peer here by way of members that relay for it, and not directly: ${called.by} could not connect to ${door}`,
      advice: `nothing, as long as such a member is there; for direct connections ${forward}`,
    };
  const anybody = addresses.filter(({ reach }) => reach === 'anybody').map(({ address }) => address);
  const near = addresses.filter(({ reach }) => reach !== 'anybody').map(({ address }) => address);
  const who =
    anybody.length > 0
      ? `anybody may reach a peer here at ${anybody[0]}, unless a firewall stands between`
      : `machines of this network reach a peer here at ${near[0]}, unless a firewall stands between, and others by way of members that relay for it`;
  const asked =
    called === null
      ? 'lorikeet doctor --network INVITE has a member try'
      : `${called.by} does not say, or is on this machine`;
  return { state: 'unknown', sentence: who, advice: anybody.length > 0 ? asked : `${asked}; for others ${forward}` };
}
