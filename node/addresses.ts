/** @file Addresses of peers, /ip4/HOST/tcp/PORT/p2p/ID and their like: whose, on which machine, and why nobody answers there. */
import { isIP } from 'node:net';
import { messageOf, UserError } from './errors.ts';

const MAX_CALLED = 16;
/** Of those where nobody answers. */
const MAX_SHOWN = 6;

/** The id an address ends with, if any. */
export function idIn(address: string): string | null {
  return /\/p2p\/([^/]+)$/.exec(address)?.[1] ?? null;
}

/** Where a host listens, an IP address of either kind, without an id. */
export function addressAt(host: string, port: number): string {
  return `/${host.includes(':') ? 'ip6' : 'ip4'}/${host}/tcp/${port}`;
}

/** The address of a peer by way of a member: where that can be reached whoever is told of it knows. */
export function relayedAt(relay: string, id: string): string {
  return `/p2p/${relay}/p2p-circuit/p2p/${id}`;
}

/** Whether an address leads by way of another peer. */
export function isRelayed(address: string): boolean {
  return address.includes('/p2p-circuit');
}

/** Whose way a relayed address leads by; null where it is none. */
export function relayIn(address: string): string | null {
  return /^\/p2p\/([^/]+)\/p2p-circuit\/p2p\/[^/]+$/.exec(address)?.[1] ?? null;
}

/** The port of an address, or 0. */
export function portIn(address: string): number {
  return Number(/\/tcp\/(\d+)/.exec(address)?.[1] ?? 0);
}

/** The address of a peer at this host and port. Throws where they are none. */
export function placeOf(host: string, port: string, id: string): string {
  if (isIP(host) === 0 || !/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65535) throw new Error('no such place');
  return `/ip${isIP(host)}/${host}/tcp/${port}/p2p/${id}`;
}

/** Whether an address leads to the very machine it is used on. */
export function isLoopback(address: string): boolean {
  return /^\/(ip4\/127\.|ip6\/(::1|::ffff:127\.[\d.]+)\/|dns[46]?\/localhost\/)/.test(address);
}

/** Whether an address is of use to others: neither loopback nor of one cable only. */
export function isPublic(address: string): boolean {
  return !isLoopback(address) && !/^\/ip(4\/169\.254\.|6\/fe[89ab])/i.test(address);
}

/** How far an address leads: to this very machine, within its networks, or anywhere; null: nowhere that is dialled. */
function reachOf(host: string): 0 | 1 | 2 | null {
  const plain = host.toLowerCase().replace(/^::ffff:(?=[\d.]+$)/, '');
  if (isIP(plain) === 0) return null;
  if (isIP(plain) === 6) {
    if (plain === '::1') return 0;
    if (plain === '::' || /^ff/.test(plain)) return null;
    return /^(f[cd]|fe[89ab])/.test(plain) ? 1 : 2;
  }
  const [a = 0, b = 0] = plain.split('.').map(Number);
  if (a === 127) return 0;
  if (a === 0 || a >= 224) return null;
  const isPrivate =
    a === 10 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254) ||
    (a === 100 && b >= 64 && b < 128);
  return isPrivate ? 1 : 2;
}

/** Whether a host is this very machine's loopback. */
export function isOwn(host: string): boolean {
  return reachOf(host) === 0;
}

/** Whether a host is of a private network. */
export function isPrivate(host: string): boolean {
  return reachOf(host) === 1;
}

/**
 * Those of a peer's addresses that are worth dialling when somebody at this host tells of them: by way of a member, or of TCP,
 * with its id, and none that leads less far than from the teller to here: what is private where one is public leads to somebody
 * else's services.
 */
export function worthDialling(addresses: readonly string[], id: string, teller: string): string[] {
  // Where a name leads only the user knows, who gave it.
  const isName = teller !== '' && isIP(teller) === 0;
  const nearest = isName ? Number(teller !== 'localhost') : (reachOf(teller) ?? 2);
  return addresses.filter((address) => {
    if (relayIn(address) !== null) return idIn(address) === id;
    const [, host, of] = /^\/ip[46]\/([^/]+)\/tcp\/[1-9]\d*\/p2p\/([^/]+)$/.exec(address) ?? [];
    const reach = host === undefined ? null : reachOf(host);
    return of === id && reach !== null && reach >= nearest;
  });
}

/** Those of use to others, or where there are none, all; so many at most. */
export function worthTelling(addresses: readonly string[], count: number): string[] {
  const useful = addresses.filter(isPublic);
  return (useful.length > 0 ? useful : [...addresses]).slice(0, count);
}

/** Addresses of both, each once, the first ones first; no more than are called in one go. */
export function mergeAddresses(first: readonly string[], second: readonly string[]): string[] {
  return [...new Set([...first, ...second])].slice(0, MAX_CALLED);
}

/**
 * Where to listen so that those who can reach the peers at these addresses can reach this one: every address of the machine,
 * or loopback where the others are on it too.
 */
export function hostBeside(addresses: readonly string[]): string {
  const isOld = (address: string): boolean => !address.startsWith('/ip6/') && !address.startsWith('/dns6/');
  const others = addresses.filter((address) => !isLoopback(address));
  if (others.length > 0) return others.some(isOld) ? '0.0.0.0' : '::';
  return addresses.some(isOld) ? '127.0.0.1' : '::1';
}

/** Why nobody answers at these addresses, each with its reason. */
export function reasonsOf(addresses: readonly string[], error: unknown): string {
  const errors = error instanceof AggregateError ? error.errors : [error];
  const reasons = addresses.map((address, i) => `${address} (${reasonOf(errors[i] ?? errors[0])})`);
  const more = reasons.length > MAX_SHOWN ? ` and ${reasons.length - MAX_SHOWN} more addresses` : '';
  return `${reasons.slice(0, MAX_SHOWN).join(', ')}${more}`;
}

/** That none of those an invite names answers. */
export function nobodyOf(addresses: readonly string[], error: unknown): UserError {
  const asked = new Set(addresses.map(idIn)).size;
  const others =
    asked === 1
      ? 'it names nobody else to ask; is that peer running, and the address right?'
      : `all ${asked} peers it names were asked; is one of them running?`;
  const next = addresses.every(isLoopback)
    ? 'It leads to this very machine: who invites from another begins with --host 0.0.0.0'
    : 'Whoever is in the run can give a fresh invite';
  return new UserError('unreachable', `invite: nobody answers at ${reasonsOf(addresses, error)}; ${others} ${next}`);
}

/** What the system says of a way that is none, in words. */
const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it hung up',
  EHOSTUNREACH: 'no way there',
  ENETUNREACH: 'no way there',
  ENOTFOUND: 'no such host',
  ETIMEDOUT: 'no answer in time',
};

/** What went wrong with a dial, in few words. */
function reasonOf(error: unknown): string {
  const name = (error as Error | null)?.name;
  if (name === 'TimeoutError' || name === 'AbortError') return 'no answer in time';
  const line = messageOf(error).split('\n')[0]!;
  if (/unexpected end of input|message length|missing newline|varint/i.test(line))
    return 'it hung up in the handshake: it is of another run, whose key is another, or no lorikeet';
  const code = Object.keys(CAUSES).find((known) => line.includes(known));
  return code ? `${CAUSES[code]}: ${code}` : line;
}
