/** @file What somebody unknown can do: little, however many names it has. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Event } from '../../protocol/events.ts';
import { createPeer } from '../../protocol/peer.ts';
import { step } from '../../protocol/step.ts';
import { quickHash } from '../../sim/world/digest.ts';
import { settingsWith } from '../support.ts';

const RUN = '00112233445566778899aabbccddeeff';

test('a member keeps the invite it was let in by, whether it is known already or not', () => {
  const peer = createPeer({ id: 'a', runId: RUN, settings: settingsWith({}), adapter: Float32Array.of(0, 0) });
  const at = (event: Event) => step(peer, event, { now: 1000, hash: quickHash });
  at({ type: 'start', addresses: [] });
  at({ type: 'peer', id: 'b', up: true });
  assert.is(peer.members.get('b')!.invite, '');
  for (const id of ['a', 'b', 'c']) at({ type: 'admitted', id, invite: `of ${id}` });
  assert.equal(
    [...peer.members.values()].map(({ id, invite }) => [id, invite]),
    [
      ['b', 'of b'],
      ['c', 'of c'],
    ],
  );
});

test.run();
