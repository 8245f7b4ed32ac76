/** @file Addresses that a user announces are read as they are written, or the mistake is named. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judgeNetwork } from '../../node/doctor/network.ts';
import type { UserError } from '../../node/errors.ts';
import { readAnnounced } from '../../node/network/announced.ts';

const read = (text: string, port = 0): Promise<string[] | string> =>
  readAnnounced(text, port).catch((error) => (error as UserError).message);

test('hosts, ports and multiaddresses are read, names looked up', async () => {
  assert.equal(await read('203.0.113.7:4001'), ['/ip4/203.0.113.7/tcp/4001']);
  assert.equal(await read('203.0.113.7', 5), ['/ip4/203.0.113.7/tcp/5']);
  assert.equal(await read('[2001:db8::7]:4001, 2001:db8::8', 9), [
    '/ip6/2001:db8::7/tcp/4001',
    '/ip6/2001:db8::8/tcp/9',
  ]);
  assert.equal(await read('/ip4/203.0.113.7/tcp/4001'), ['/ip4/203.0.113.7/tcp/4001']);
  assert.match(String(await read('localhost:1')), /^\/ip[46]\/(127\.0\.0\.1|::1)\/tcp\/1$/);
});

test('what is no address, or has no port, is refused with what was wanted', async () => {
  assert.match(String(await read('203.0.113.7')), /--announce: got "203.0.113.7"; wanted a port after it, .*--port/);
  assert.match(String(await read('a b')), /wanted an address such as/);
  assert.match(String(await read('203.0.113.7:70000')), /wanted a port from 1 to 65535/);
  assert.match(String(await read('nobody.invalid:1')), /wanted a name that can be looked up here/);
  assert.match(String(await read('1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1', 1)), /wanted 4 addresses at most/);
});

test('how others reach a peer is one sentence, whatever is known', () => {
  const near = [{ address: '192.168.1.2', reach: 'this network' as const }];
  const far = [{ address: '203.0.113.7', reach: 'anybody' as const }];
  assert.is(judgeNetwork([], null, 0).state, 'none');
  assert.match(
    judgeNetwork(near, null, 4001).sentence,
    /machines of this network .* 192\.168\.1\.2.* by way of members/,
  );
  assert.match(
    judgeNetwork(near, null, 4001).advice,
    /doctor --network INVITE has a member try; for others let TCP port 4001/,
  );
  assert.match(judgeNetwork(far, null, 0).sentence, /anybody may reach a peer here at 203\.0\.113\.7/);
  assert.is(judgeNetwork(far, { by: 'one', isReached: null }, 0).state, 'unknown');
  assert.is(judgeNetwork(far, { by: 'one', isReached: true }, 0).state, 'open');
  assert.is(judgeNetwork(near, { by: 'one', isReached: false }, 0).state, 'shut');
});

test.run();
