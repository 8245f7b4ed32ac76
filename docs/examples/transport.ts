/** @file A network of one's own: peers of one process, by plain calls. An open run, since nobody proves who it is here. */
import { createSwarm, type HostOptions, idOfKey, joinSwarm, type Transport } from 'lorikeet';

/** Who is there, by id. */
const here = new Map<string, HostOptions>();
const idIn = (address: string): string => address.split('/').at(-1) ?? '';

const memory: Transport = {
  createHost: async (options) => {
    const id = idOfKey(options.key)!;
    const connected = new Set<string>();
    here.set(id, options);
    return {
      id,
      addresses: () => [`/ip4/127.0.0.1/tcp/1/p2p/${id}`],
      isConnected: (other) => here.has(other),
      seenAt: () => '127.0.0.1',
      dial: async (addresses) => {
        const other = addresses.map(idIn).find((one) => one !== id && here.has(one));
        if (other === undefined) throw new Error('nobody is there');
        if (!connected.has(other)) {
          connected.add(other);
          options.onPeer(other, true);
          here.get(other)?.onPeer(id, true);
        }
        return other;
      },
      port: 0,
      reach: () => ({ open: [...here.keys()], shut: [], relays: [] }),
      connections: () =>
        [...here.keys()]
          .filter((other) => other !== id)
          .map((other) => ({ id: other, relay: null, through: 'machine' as const })),
      send: async (to, bytes) => {
        await here.get(to)?.onFrame(id, bytes, id);
        return here.has(to);
      },
      publish: async (bytes) => {
        for (const [other, { validate, onFrame }] of here)
          if (other !== id && validate(id, bytes)) onFrame(id, bytes, id);
      },
      ban: () => {},
      expel: () => {},
      stop: async () => {
        here.delete(id);
        for (const { onPeer } of here.values()) onPeer(id, false);
      },
    };
  },
  fetchRun: async ({ addresses }) => here.get(idIn(addresses[0]!))!.describeRun(),
  fetchStart: async ({ addresses }) => here.get(idIn(addresses[0]!))!.start!,
};

const rows = [
  { text: 'a warm and funny film', label: 'positive' },
  { text: 'dull from start to end', label: 'negative' },
];
const settings = { rounds: 2, localSteps: 1 };
await using anna = await createSwarm({ data: rows, settings, transport: memory, open: true });
await using bert = await joinSwarm(anna.invite(), { data: rows, transport: memory });
await Promise.all([anna.finished, bert.finished]);
console.log(`${anna.view.round} rounds without a socket, ${anna.view.mixedWith[bert.id]} mixed`);
