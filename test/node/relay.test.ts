/** @file Peers that nobody can connect to meet by way of a member, whose limits hold; real hosts on loopback. */
import '../../node/polyfill.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createBook } from '../../node/admission/book.ts';
import { generateKey, idOfKey } from '../../node/admission/identity.ts';
import { createRuntime, type Runtime, type RuntimeOptions } from '../../node/runtime.ts';
import { createPeer, type Peer } from '../../protocol/peer.ts';
import { distance, mean, norm } from '../../protocol/vector.ts';
import { settingsWith, until } from '../support.ts';
import { founder, founderKey, RUN, ticket } from './parts/closed-run.ts';

const COUNT = 500_000;

interface Node {
  readonly peer: Peer;
  readonly runtime: Runtime;
}

/** A member of a closed run; hidden, it listens nowhere. */
async function startNode(isHidden: boolean, value: number, more: Partial<RuntimeOptions> = {}): Promise<Node> {
  const key = more.key ?? (await generateKey());
  const id = idOfKey(key)!;
  const settings = settingsWith({ codec: 'f32', announceMs: 500, minPeers: 3, rounds: 4, rule: 'mean' });
  const peer = createPeer({ id, runId: RUN, settings, adapter: new Float32Array(COUNT).fill(value / 10) });
  const runtime = await createRuntime({
    peer,
    key,
    book: createBook({ runId: RUN, founder, id, key, ticket: id === founder ? null : ticket }),
    listen: isHidden ? [] : ['/ip4/127.0.0.1/tcp/0'],
    describeRun: () => JSON.stringify(settings),
    save: async () => {},
    train: async (_round, adapter) => ({ adapter, stats: { loss: 0 } }),
    ...more,
  });
  return { peer, runtime };
}

const waysTo = ({ runtime }: Node, { peer }: Node): (string | null)[] =>
  runtime.host
    .connections()
    .filter(({ id }) => id === peer.id)
    .map(({ relay }) => relay);

test('two members that listen nowhere mix adapters of two megabytes by way of a third, over one connection', async () => {
  // Nobody exchanges anything before the two have met.
  const haveMet = Promise.withResolvers<void>();
  const train: RuntimeOptions['train'] = async (_round, adapter) => {
    await haveMet.promise;
    return { adapter, stats: { loss: 0 } };
  };
  const relay = await startNode(false, 0, { key: founderKey, train });
  const [one, two] = [await startNode(true, 1, { train }), await startNode(true, 2, { train })];
  const nodes = [relay, one, two];
  for (const { runtime } of [one, two]) await runtime.host.dial(relay.runtime.host.addresses());
  await until(() => one.runtime.host.isConnected(two.peer.id));
  haveMet.resolve();
  await Promise.all(nodes.map(({ runtime }) => runtime.finished));
  const wanted = mean([0, 1, 2].map((value) => new Float32Array(COUNT).fill(value / 10)));
  for (const { peer } of nodes)
    assert.ok(distance(peer.adapter, wanted) / norm(wanted) < 1e-5, `${distance(peer.adapter, wanted) / norm(wanted)}`);
  const ways = waysTo(one, two);
  // Both may have dialled at once.
  assert.ok(ways.length > 0 && ways.length <= 2 && ways.every((way) => way === relay.peer.id), JSON.stringify(ways));
  await Promise.all(nodes.map(({ runtime }) => runtime.stop()));
});

test('a member that relays for nobody is no way to anybody, and one that does relays for members only', async () => {
  const relay = await startNode(false, 0, { key: founderKey, relays: false });
  const [one, two] = [await startNode(true, 1), await startNode(true, 2)];
  for (const { runtime } of [one, two]) await runtime.host.dial(relay.runtime.host.addresses());
  await until(() => one.runtime.host.reach().shut.includes(relay.peer.id));
  const way = `/p2p/${relay.peer.id}/p2p-circuit/p2p/${two.peer.id}`;
  const refused = await one.runtime.host.dial([way]).catch((error) => error.message);
  assert.match(refused, /nobody answers at .*p2p-circuit/);
  assert.equal(one.runtime.host.reach().relays, []);
  await Promise.all([relay, one, two].map(({ runtime }) => runtime.stop()));
});

test.run();
