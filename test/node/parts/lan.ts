/** @file What test/node/lan.test.ts runs in its namespace: so many hosts on one address; prints how many others each hears at least. */
import { generateKey, idOfKey } from '../../../node/admission/identity.ts';
import { createRuntime } from '../../../node/runtime.ts';
import { createPeer, type Peer } from '../../../protocol/peer.ts';
import { settingsWith } from '../../support.ts';

const [address = '', count = '0'] = process.argv.slice(2);
const runId = '00112233445566778899aabbccddeeff';
const settings = settingsWith({ minPeers: Number(count) + 1, announceMs: 2000 }); // so that no round begins
const peers: Peer[] = [];
let first: readonly string[] = [];
for (let i = 0; i < Number(count); i++) {
  const key = await generateKey();
  const peer = createPeer({ id: idOfKey(key)!, runId, settings, adapter: new Float32Array(8) });
  const { host } = await createRuntime({
    peer,
    key,
    listen: [`/${address.includes(':') ? 'ip6' : 'ip4'}/${address}/tcp/0`],
    describeRun: () => '',
    save: async () => {},
    train: async (_round, adapter) => ({ adapter, stats: { loss: null } }),
  });
  peers.push(peer);
  if (first.length > 0) await host.dial(first);
  else first = host.addresses();
}
const heard = (): number =>
  Math.min(...peers.map((p) => [...p.members.values()].filter((m) => m.sequence >= 0).length));
const end = Date.now() + 600_000;
while (heard() < Number(count) - 1 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 50));
console.log(heard());
process.exit();
