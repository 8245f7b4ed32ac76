/** @file Strangers that send more than anybody can want: connections, streams, frames, gossip, addresses. */
import { createConnection, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { counted } from '../../node/figures.ts';
import { frameProtocol, runProtocol } from '../../node/questions.ts';
import { sha256 } from '../../node/train/run.ts';
import { encodeFrame, type Message, maxFrameBytes } from '../../protocol/frame.ts';
import { type Attack, FLOOD, refusedAs, type Target } from './attack.ts';
import { announcing, type Caller, call, lengthOf, rpc } from './caller.ts';
import { aborted, here } from './crowd.ts';
import { guests, type Name, strangers } from './names.ts';
import { throughCable } from './proxy.ts';
import { learnRun } from './puppet.ts';

/** One that is cut off comes back under another name after (ms). */
const AGAIN_MS = 200;

export const FLOODS: Readonly<Record<string, Attack>> = {
  connections: {
    about: '1,000 connections to each that say nothing, opened again whenever they are closed',
    bars: refusedAs(['crowded-address', 'no-slot']),
    run: (target, signal, begin) => holdSockets(target, signal, begin, { count: 1000, greeting: '' }),
  },
  'half-open': {
    about: '300 handshakes with each that are begun and never ended, opened again whenever they are closed',
    bars: refusedAs(['crowded-address', 'no-slot']),
    run: (target, signal, begin) =>
      holdSockets(target, signal, begin, { count: 300, greeting: '\x13/multistream/1.0.0\n\x07/noise\n' }),
  },
  idle: {
    about: '300 connections with the whole handshake, each of another id, that then say nothing',
    bars: refusedAs(['not-admitted', 'crowded-address', 'no-slot']),
    run: async (target, signal, begin) => {
      const wanted = target.isShort ? 60 : 300;
      const callers: Caller[] = [];
      let refused = 0;
      begin();
      for (let i = 0; i < wanted && !signal.aborted; i++) {
        const address = target.addresses[i % target.addresses.length]!;
        await call(target, address, (await strangers(1))[0]!, signal).then(
          (caller) => callers.push(caller),
          () => (refused += 1),
        );
      }
      await aborted(signal);
      const open = callers.filter((caller) => caller.isOpen()).length;
      await Promise.all(callers.map((caller) => caller.stop()));
      return { text: `${callers.length} of ${callers.length + refused} were let in, ${open} were open at the end` };
    },
  },
  streams: {
    about: '10,000 streams over one connection that never say of which protocol they are',
    bars: refusedAs(['unknown-protocol', 'too-fast']),
    run: (target, signal, begin) =>
      hammer(target, signal, begin, { what: 'streams', as: 'stranger' }, async (caller, count) => {
        let opened = 0;
        while (opened < 10_000 && caller.isOpen()) {
          for (let k = 0; k < 50; k++) caller.openDumb();
          opened += 50;
          count(50);
          await sleep(1);
        }
      }),
  },
  'unknown-protocols': {
    about: 'streams of protocols that nobody knows, as fast as they are refused',
    bars: refusedAs(['unknown-protocol']),
    run: (target, signal, begin) =>
      hammer(target, signal, begin, { what: 'streams', as: 'stranger' }, async (caller, count) => {
        let opened = 0;
        while (caller.isOpen() && !signal.aborted) {
          await caller.open(`/nobody/knows/${opened}`).catch(() => {});
          await sleep(1); // what is refused at once would leave no turn to anything else
          opened += 1;
          count(1);
        }
      }),
  },
  unadmitted: {
    about: 'frames by strangers who do not show that they belong',
    bars: refusedAs(['not-admitted']),
    run: (target, signal, begin) => {
      const frame = frameOf(target, { type: 'have', round: 0 });
      return hammer(target, signal, begin, { what: 'frames', as: 'stranger' }, (caller, count) =>
        pourUntil(caller, frameProtocol(target.runId), signal, 1_000_000, count, () => frame),
      );
    },
  },
  reminders: {
    about: 'a million reminders over one stream',
    bars: refusedAs(['repeated', 'too-fast']),
    run: (target, signal, begin) => {
      const frame = frameOf(target, { type: 'have', round: 0 });
      return hammer(target, signal, begin, { what: 'reminders', as: 'guest' }, (caller, count) =>
        pourUntil(caller, frameProtocol(target.runId), signal, 1_000_000, count, () => frame),
      );
    },
  },
  garbage: {
    about: 'frames that are none',
    bars: refusedAs(['malformed']),
    run: (target, signal, begin) =>
      hammer(target, signal, begin, { what: 'frames', as: 'guest' }, (caller, count) =>
        pourUntil(caller, frameProtocol(target.runId), signal, 1_000_000, count, (i) => new Uint8Array(100).fill(i)),
      ),
  },
  questions: {
    about: 'the question what the run is, asked without end',
    bars: refusedAs(['too-fast']),
    run: (target, signal, begin) =>
      hammer(target, signal, begin, { what: 'questions', as: 'guest' }, async (caller, count) => {
        while (caller.isOpen() && !signal.aborted) {
          const stream = await caller.open(runProtocol(target.runId)).catch(() => null);
          stream?.abort(new Error('asked'));
          await sleep(1);
          count(1);
        }
      }),
  },
  topics: {
    about: 'subscriptions to a hundred thousand topics, and grafts onto them',
    bars: FLOOD,
    run: (target, signal, begin) =>
      hammer(target, signal, begin, { what: 'subscriptions', as: 'guest' }, async (caller, count) => {
        let sent = 0;
        function* all() {
          while (sent < 100_000 && !signal.aborted && caller.isOpen()) {
            const topics = Array.from({ length: 100 }, (_, i) => `topic ${sent + i}`);
            sent += 100;
            count(100);
            yield rpc({
              subscriptions: topics.map((topic) => ({ subscribe: true, topic })),
              control: {
                graft: topics.map((topicID) => ({ topicID })),
                ihave: [],
                iwant: [],
                prune: [],
                idontwant: [],
              },
            });
          }
        }
        await caller.gossip(all()).catch(() => {});
        await sleep(1000);
      }),
  },
  announcements: {
    about: 'announcements of one member, signed, as fast as they are taken',
    bars: refusedAs(['too-fast', 'stale-sequence']),
    run: (target, signal, begin) =>
      hammer(target, signal, begin, { what: 'announcements', as: 'guest' }, async (caller, count, name) => {
        async function* all() {
          while (!signal.aborted && caller.isOpen()) {
            const messages = Array.from({ length: 20 }, () => announcing(name, target.runId, here(0)));
            count(messages.length);
            yield rpc({ messages });
            await new Promise((resolve) => setImmediate(resolve));
          }
        }
        await caller.gossip(all()).catch(() => {});
      }),
  },
  // Of neither a code is wanted: libp2p hangs up first, on who does not answer its own pings.
  pings: {
    about: 'pings of connections without end by members that take none of the answers',
    bars: FLOOD,
    run: (target, signal, begin) => pingOn(target, signal, begin, 'guest'),
  },
  'pings-unadmitted': {
    about: 'the same by strangers',
    bars: FLOOD,
    run: (target, signal, begin) => pingOn(target, signal, begin, 'stranger'),
  },
  'slow-writer': {
    about: 'frames begun by eight connections of eight streams each, and then a byte now and then',
    bars: refusedAs(['inbox-full']),
    run: async (target, signal, begin) => {
      const { limits } = await learnRun(target);
      const bytes = maxFrameBytes(limits);
      return hammer(target, signal, begin, { what: 'frames begun', as: 'guest' }, async (caller, count) => {
        async function* slowly() {
          yield Buffer.concat([lengthOf(bytes), new Uint8Array(bytes - 1000)]);
          for (let i = 0; i < 900 && !signal.aborted && caller.isOpen(); i++) {
            yield Uint8Array.of(1);
            await sleep(1000, undefined, { signal }).catch(() => {});
          }
        }
        const streams = await Promise.all(
          Array.from({ length: 8 }, () => caller.open(frameProtocol(target.runId)).catch(() => null)),
        );
        count(streams.filter((stream) => stream !== null).length);
        await Promise.all(streams.map((stream) => stream?.sink(slowly()).catch(() => {})));
      });
    },
  },
  addresses: {
    about: 'three hundred made-up peers at as many hosts, told so that all of them are dialled',
    bars: { ...FLOOD, dialled: 150 },
    run: async (target, signal, begin) => {
      const dialled = new Set<string>();
      const server = createServer((socket) => {
        dialled.add(socket.localAddress ?? '');
        socket.destroy();
      });
      const port = 4001;
      await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
      const nobody = await strangers(target.decoys.length);
      const peers = nobody.map(({ id }, i) => ({ id, addresses: [`/ip4/${target.decoys[i]}/tcp/${port}/p2p/${id}`] }));
      const done = await hammer(
        target,
        signal,
        begin,
        { what: 'tales of a peer', as: 'guest' },
        async (caller, count) => {
          async function* frames() {
            for (let i = 0; !signal.aborted && caller.isOpen(); i++) {
              const from = (16 * i) % peers.length;
              yield frameOf(target, { type: 'peers', round: 0, peers: peers.slice(from, from + 16) });
              count(16);
              await sleep(100);
            }
          }
          await caller.pour(frameProtocol(target.runId), frames());
        },
      );
      server.close();
      return { text: `${done.text}; ${dialled.size} of 300 hosts were dialled`, dialled: dialled.size };
    },
  },
};

async function pingOn(
  target: Target,
  signal: AbortSignal,
  begin: () => void,
  as: 'stranger' | 'guest',
): Promise<{ text: string }> {
  // Enough for the handshake, or to be let in.
  const down = { afterBytes: as === 'guest' ? 20_000 : 4000, bytesPerSecond: 0 };
  const ways = await Promise.all(target.addresses.map((address) => throughCable(address, { down }, signal)));
  return hammer({ ...target, addresses: ways }, signal, begin, { what: 'pings', as }, async (caller, count) => {
    while (caller.isOpen() && !signal.aborted) {
      for (let i = 0; i < 1000; i++) caller.ping(i);
      count(1000);
      await sleep(10);
    }
  });
}

function frameOf({ runId }: Target, message: Message): Uint8Array {
  return encodeFrame({ message, sequence: 1 }, runId, sha256);
}

/** Pours so many frames, and stays then. */
async function pourUntil(
  caller: Caller,
  protocol: string,
  signal: AbortSignal,
  most: number,
  count: (more: number) => void,
  frame: (index: number) => Uint8Array,
): Promise<void> {
  async function* all() {
    for (let sent = 0; sent < most && !signal.aborted && caller.isOpen(); sent++) {
      yield frame(sent);
      count(1);
      if (sent % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await aborted(signal);
  }
  await caller.pour(protocol, all());
}

/** Attacks every honest peer at once, each by one connection, and comes back under another name whenever it is cut off. */
async function hammer(
  target: Target,
  signal: AbortSignal,
  begin: () => void,
  { what, as }: { what: string; as: 'stranger' | 'guest' },
  act: (caller: Caller, count: (more: number) => void, name: Name) => Promise<void>,
): Promise<{ text: string }> {
  let [sum, names] = [0, 0];
  const count = (more: number): void => {
    sum += more;
  };
  const end = aborted(signal);
  begin();
  await Promise.all(
    target.addresses.map(async (address) => {
      while (!signal.aborted) {
        names += 1;
        const [name] = await (as === 'guest' ? guests(target, 1, names) : strangers(1));
        const caller = await call(target, address, name!, signal).catch(() => null);
        if (caller) {
          await Promise.race([act(caller, count, name!).catch(() => {}), end]);
          caller.stop().catch(() => {});
        }
        await sleep(AGAIN_MS, undefined, { signal }).catch(() => {});
      }
    }),
  );
  return { text: `${sum.toLocaleString('en')} ${what} by ${counted(names, as)}` };
}

/** Keeps so many sockets open to each honest peer, as far as they let it; each says no more than a greeting. */
async function holdSockets(
  { addresses }: Target,
  signal: AbortSignal,
  begin: () => void,
  { count, greeting }: { count: number; greeting: string },
): Promise<{ text: string }> {
  let opened = 0;
  const places = addresses.map((address) => address.split('/'));
  const open = (i: number): void => {
    if (signal.aborted) return;
    const [, , host, , port] = places[i % places.length]!;
    const socket = createConnection({ host: host!, port: Number(port) }, () => {
      opened += 1;
      if (greeting) socket.write(greeting);
    });
    socket.resume(); // or its end is not heard of
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(open, AGAIN_MS + 5 * (i % 200), i).unref());
    signal.addEventListener('abort', () => socket.destroy(), { once: true });
  };
  begin();
  for (let i = 0; i < count * places.length; i++) open(i);
  await aborted(signal);
  return { text: `${count} sockets to each, opened ${opened.toLocaleString('en')} times` };
}
