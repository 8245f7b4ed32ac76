/**
 * @file What test/node/crowd.test.ts runs in its namespaces: twenty peers behind one router, each with a connection to one that is
 * public, which sees one address. Prints how many that one is connected to and has heard.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { generateKey, idOfKey } from '../../../node/admission/identity.ts';
import { createRuntime, type Runtime } from '../../../node/runtime.ts';
import { createPeer, type Peer } from '../../../protocol/peer.ts';
import { settingsWith } from '../../support.ts';
import { hiddenMachines, openLab, publicMachine } from './lab.ts';

const COUNT = 20;
const runId = '00112233445566778899aabbccddeeff';
const [role = '', address = ''] = process.argv.slice(2);

async function start(): Promise<{ peer: Peer; runtime: Runtime }> {
  const key = await generateKey();
  const settings = settingsWith({ minPeers: COUNT + 9, announceMs: 2000 }); // so that no round begins
  const peer = createPeer({ id: idOfKey(key)!, runId, settings, adapter: new Float32Array(8) });
  const runtime = await createRuntime({
    peer,
    key,
    listen: ['/ip4/0.0.0.0/tcp/0'],
    describeRun: () => '',
    save: async () => {},
    train: async (_round, adapter) => ({ adapter, stats: { loss: null } }),
  });
  return { peer, runtime };
}
const heard = ({ members }: Peer): number => [...members.values()].filter((m) => m.sequence >= 0).length;
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}

if (role === 'public') {
  const { peer, runtime } = await start();
  console.log(runtime.host.addresses().find((one) => one.includes('/10.77.0.1/')));
  const connected = (): number => [...peer.members.values()].filter((m) => m.connected).length;
  await until(() => connected() >= COUNT && heard(peer) >= COUNT);
  console.log(JSON.stringify({ connected: connected(), heard: heard(peer) }));
} else if (role === 'hidden') {
  const all = await Promise.all(Array.from({ length: COUNT }, start));
  await Promise.all(all.map(({ runtime }) => runtime.host.dial([address])));
  await new Promise(() => setInterval(() => {}, 1000)); // as long as the other looks
} else {
  openLab();
  const [hub, hidden] = [await publicMachine(1), (await hiddenMachines(1, 1))[0]!];
  const script = fileURLToPath(import.meta.url);
  const run = (by: readonly string[], ...args: string[]) =>
    spawn(by[0]!, [...by.slice(1), process.execPath, script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const first = run(hub.by, 'public');
  const [at] = await once(first.stdout!, 'data');
  const second = run(hidden.by, 'hidden', String(at).trim());
  const [seen] = await once(first.stdout!, 'data');
  console.log(String(seen).trim());
  first.kill('SIGKILL');
  second.kill('SIGKILL');
  process.exit();
}
