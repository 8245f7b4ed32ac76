/** @file Somebody who speaks the protocol and says what it is told to, through the same host as everybody; and members in full. */
import { createBook } from '../../node/admission/book.ts';
import { generateKey, idOfKey } from '../../node/admission/identity.ts';
import { createHost, type Host, type HostOptions } from '../../node/host.ts';
import { askingBy, parseInvite } from '../../node/invite.ts';
import { fetchRun } from '../../node/network/visits.ts';
import { createRuntime, type Runtime, type RuntimeOptions } from '../../node/runtime.ts';
import { checkSettings, openRun, type Run, sha256, startOf } from '../../node/train/run.ts';
import type { CodecName } from '../../protocol/codec.ts';
import { decodeFrame, encodeFrame, type FrameLimits, type Message, maxFrameBytes } from '../../protocol/frame.ts';
import { createPeer, type Peer } from '../../protocol/peer.ts';
import type { Target } from './attack.ts';

interface Learned {
  readonly run: Run;
  readonly limits: FrameLimits;
}

/** The run of an invite, as whoever holds one learns it. */
export async function learnRun({ invite }: Pick<Target, 'invite'>): Promise<Learned> {
  const asking = askingBy(parseInvite(invite));
  const { runId } = asking;
  const described = await fetchRun(asking);
  const run = await openRun(checkSettings(JSON.parse(described), 'the swarm'));
  const count = run.wire.pack(startOf(run)).length;
  return { run, limits: { runId, count, codec: run.settings.codec as CodecName } };
}

/** What a host is told and does not care about. */
export const HEEDLESS = {
  onOversized: () => {},
  onPeer: () => {},
  onRefuse: () => {},
  validate: () => true,
  onTurnedAway: () => {},
  onBans: () => {},
} as const satisfies Partial<HostOptions>;

export interface Puppet {
  readonly host: Host;
  announce(message: Extract<Message, { type: 'announce' }>): Promise<void>;
  say(to: string, message: Message): Promise<boolean>;
}

/** Connects to the honest, and does nothing unless told but call whoever announces itself. */
export async function createPuppet(
  { addresses, host: own, invite }: Target,
  { run, limits }: Learned,
  onMessage: (from: string, message: Message, puppet: Puppet) => void,
): Promise<Puppet> {
  let sequence = 0;
  const seal = (message: Message): Uint8Array => encodeFrame({ message, sequence: ++sequence }, limits.runId, sha256);
  const key = await generateKey();
  const host = await createHost({
    key,
    book: bookOf(run, invite, key),
    network: parseInvite(invite).ticket?.network ?? null,
    listen: [`/ip4/${own}/tcp/0`],
    runId: limits.runId,
    maxFrameBytes: maxFrameBytes(limits),
    describeRun: () => '',
    onFrame: async (from, bytes) => {
      const decoded = decodeFrame(bytes, limits, sha256);
      if (!decoded.ok) return;
      const { message } = decoded.frame;
      const isNew = message.type === 'announce' && !host.isConnected(from);
      if (isNew && message.addresses.length > 0) host.dial(message.addresses).catch(() => {});
      onMessage(from, message, puppet);
    },
    ...HEEDLESS,
  });
  const puppet: Puppet = {
    host,
    announce: (message) => host.publish(seal(message)),
    say: (to, message) => host.send(to, seal(message)),
  };
  for (const address of addresses) await host.dial([address]).catch(() => {});
  return puppet;
}

/** A member by the very code of an honest one, but for what it is given otherwise. */
export async function takePart(
  run: Run,
  { invite, addresses }: Pick<Target, 'invite' | 'addresses'>,
  more: Pick<RuntimeOptions, 'train' | 'onEvent' | 'onEffect'>,
): Promise<{ peer: Peer; runtime: Runtime }> {
  const { settings, runId } = run;
  const key = await generateKey();
  const peer = createPeer({ id: idOfKey(key)!, runId, settings, adapter: run.wire.pack(startOf(run)) });
  const runtime = await createRuntime({
    peer,
    key,
    book: bookOf(run, invite, key),
    network: parseInvite(invite).ticket?.network ?? null,
    listen: [],
    describeRun: () => '',
    save: async () => {},
    ...more,
  });
  for (const address of addresses) await runtime.host.dial([address]).catch(() => {});
  return { peer, runtime };
}

/** Who belongs, as somebody knows it who has come by an invite. */
function bookOf({ runId, settings: { founder } }: Run, invite: string, key: Uint8Array) {
  return createBook({ runId, founder, id: idOfKey(key)!, key, ticket: parseInvite(invite).ticket });
}
