/**
 * @file Runs of this network, told in the open by multicast DNS (RFC 6762, 6763): who asks hears the name of a run, how many are
 * in it, its model and how far it is, and where a member listens; not what lets anybody in. What is heard is anybody's word.
 */

import { isIP } from 'node:net';
import multicastDns from 'multicast-dns';
import { RUN_ID_DIGITS } from '../../protocol/frame.ts';
import { portIn } from '../addresses.ts';
import { createBuckets } from '../buckets.ts';
import { plainText } from './names.ts';

const SERVICE = '_lorikeet._tcp.local';
/** Of a name or a model; longer ones are cut. */
const MAX_WORDS = 64;
/** Members that are listened to in one listing. */
const MAX_HEARD = 256;
/** How often a listing asks. */
const ASK_MS = 500;
/** Answers, to whoever asks. */
const REPLIES = { burst: 4, perSecond: 2 };
const TTL_S = 10;

/** What a member tells. */
export interface Hello {
  readonly id: string;
  readonly runId: string;
  /** What its first peer calls the run; '' where this one does not know. */
  readonly name: string;
  readonly model: string;
  readonly members: number;
  readonly round: number;
  readonly rounds: number;
  readonly isOpen: boolean;
  readonly port: number;
}

/** A run, as its members tell of it. */
export interface Seen extends Omit<Hello, 'id' | 'port'> {
  /** Where they listen, /ip4/HOST/tcp/PORT/p2p/ID. */
  readonly addresses: readonly string[];
}

/** Answers whoever asks with what `hello` then says. Troubles are told once, and nothing else comes of them. */
export function tellLan(hello: () => Hello, onTrouble: (why: string) => void): { stop(): void } {
  const replies = createBuckets(REPLIES);
  const mdns = multicastDns();
  let isTold = false;
  const tell = (error: Error): void => {
    if (!isTold) onTrouble(error.message);
    isTold = true;
  };
  mdns.on('error', tell);
  mdns.on('warning', () => {});
  mdns.on('query', ({ questions = [] }) => {
    if (!questions.some(({ name }) => name === SERVICE) || !replies.take('')) return;
    const now = hello();
    const instance = `${now.id.slice(-16)}.${SERVICE}`;
    mdns.respond({
      answers: [
        { name: SERVICE, type: 'PTR', ttl: TTL_S, data: instance },
        { name: instance, type: 'TXT', ttl: TTL_S, data: writeHello(now) },
      ],
    });
  });
  return { stop: () => mdns.destroy() };
}

/** Asks around for so long; runs by how many tell of them, the most first. */
export async function listLan(forMs: number): Promise<Seen[]> {
  const mdns = multicastDns();
  const heard = new Map<string, { hello: Hello; host: string }>();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  mdns.on('error', reject);
  mdns.on('warning', () => {});
  mdns.on('response', ({ answers = [] }, { address }) => {
    for (const answer of answers) {
      const hello = answer.type === 'TXT' && answer.name.endsWith(SERVICE) ? readHello(answer.data) : null;
      if (hello && isIP(address) === 4 && (heard.has(hello.id) || heard.size < MAX_HEARD))
        heard.set(hello.id, { hello, host: address });
    }
  });
  const ask = (): void => mdns.query(SERVICE, 'PTR');
  mdns.on('ready', ask);
  const asking = setInterval(ask, ASK_MS);
  const over = setTimeout(resolve, forMs);
  try {
    await promise;
  } finally {
    clearInterval(asking);
    clearTimeout(over);
    mdns.destroy();
  }
  return runsOf([...heard.values()]);
}

/** The runs that some hellos tell of. */
export function runsOf(heard: readonly { hello: Hello; host: string }[]): Seen[] {
  const runs = new Map<string, Seen>();
  for (const { hello, host } of heard) {
    const { id, port, ...told } = hello;
    const before = runs.get(told.runId);
    runs.set(told.runId, {
      ...told,
      name: before?.name || told.name,
      members: Math.max(before?.members ?? 0, told.members),
      round: Math.max(before?.round ?? 0, told.round),
      addresses: [...(before?.addresses ?? []), `/ip4/${host}/tcp/${port}/p2p/${id}`],
    });
  }
  return [...runs.values()].sort((a, b) => b.addresses.length - a.addresses.length || (a.runId < b.runId ? -1 : 1));
}

/** The strings of a TXT record, each `key=value`. */
export function writeHello({ name, model, ...rest }: Hello): string[] {
  const all = { ...rest, isOpen: rest.isOpen ? 1 : 0, name: plain(name), model: plain(model) };
  return Object.entries(all).map(([key, value]) => `${key}=${value}`);
}

/** What a TXT record says; null where that is no hello. */
export function readHello(data: unknown): Hello | null {
  const parts = (Array.isArray(data) ? data : [data]).slice(0, 16).map((part) => String(part).slice(0, 255));
  const told = new Map(parts.map((part) => [part.split('=', 1)[0], part.slice(part.indexOf('=') + 1)]));
  const numberOf = (key: string, max: number): number =>
    Math.min(max, Number(/^\d{1,9}$/.exec(told.get(key) ?? '')?.[0] ?? -1));
  const [id = '', runId = ''] = [told.get('id'), told.get('runId')];
  const [members, round, rounds] = [numberOf('members', 1e6), numberOf('round', 1e9), numberOf('rounds', 1e9)];
  const port = portIn(`/tcp/${told.get('port')}`);
  const isWhole =
    /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.test(id) && new RegExp(`^[0-9a-f]{${RUN_ID_DIGITS}}$`).test(runId);
  if (!isWhole || members < 0 || round < 0 || rounds < 0 || port < 1 || port > 65535) return null;
  const words = { name: plain(told.get('name') ?? ''), model: plain(told.get('model') ?? '') };
  return { id, runId, ...words, members, round, rounds, port, isOpen: told.get('isOpen') === '1' };
}

const plain = (text: string): string => plainText(text, MAX_WORDS);
