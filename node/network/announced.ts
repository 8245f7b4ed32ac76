/** @file Where others reach this peer though it listens elsewhere: a port that a router forwards, the host of a container. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { UserError } from '../errors.ts';

const MULTIADDR = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)$/;
const BRACKETED = /^\[([0-9a-f:]+)\](?::(\d+))?$/i;
const PLAIN = /^([^:/\s]+)(?::(\d+))?$/;
/** More than anybody forwards. */
const MAX_ANNOUNCED = 4;

/**
 * Addresses such as HOST, HOST:PORT, [IPV6]:PORT or /ip4/HOST/tcp/PORT, separated by commas, as multiaddresses without an id; a
 * name is looked up, since others dial no names that they are told, and where no port is given it is that of the option. Throws
 * a UserError on anything else, and where a name is not known.
 */
export async function readAnnounced(text: string, port: number): Promise<string[]> {
  const words = text.split(',').map((word) => word.trim());
  if (words.length > MAX_ANNOUNCED) throw mistaken(text, `${MAX_ANNOUNCED} addresses at most`);
  return Promise.all(words.map((word) => readOne(word, port)));
}

async function readOne(word: string, usual: number): Promise<string> {
  const [, host, given] =
    MULTIADDR.exec(word) ?? BRACKETED.exec(word) ?? (isIP(word) === 6 ? [word, word] : PLAIN.exec(word)) ?? [];
  if (host === undefined)
    throw mistaken(word, 'an address such as 203.0.113.7:4001, home.example.org or [2001:db8::7]:4001');
  const port = given === undefined ? usual : Number(given);
  if (port === 0) throw mistaken(word, 'a port after it, as in HOST:4001, or --port beside it');
  if (port < 1 || port > 65535) throw mistaken(word, 'a port from 1 to 65535');
  const found = isIP(host) > 0 ? host : await addressOf(host);
  return `/ip${isIP(found)}/${found}/tcp/${port}`;
}

async function addressOf(name: string): Promise<string> {
  try {
    return (await lookup(name)).address;
  } catch {
    throw mistaken(name, 'a name that can be looked up here, or an IP address');
  }
}

function mistaken(got: string, wanted: string): UserError {
  return new UserError('usage', `--announce: got ${JSON.stringify(got)}; wanted ${wanted}`);
}
