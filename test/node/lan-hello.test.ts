/** @file What members tell their network of a run is read as it was written, or not at all, and shown without harm. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Hello, readHello, runsOf, writeHello } from '../../node/network/lan.ts';

const HELLO: Hello = {
  id: '12D3KooWJXtosp4crb1NvZ2AaLfdVAz6egKvC7BQULUrBGWpeYeo',
  runId: '00112233445566778899aabbccddeeff',
  name: 'reviews = fun',
  model: 'lorikeet-mini',
  members: 3,
  round: 7,
  rounds: 40,
  isOpen: false,
  port: 4001,
};
const told = (change: Partial<Hello>): Hello | null => readHello(writeHello({ ...HELLO, ...change }));

test('a hello comes back as it was, also in bytes', () => {
  assert.equal(told({}), HELLO);
  assert.equal(readHello(writeHello(HELLO).map((part) => Buffer.from(part))), HELLO);
  assert.is(told({ isOpen: true })!.isOpen, true);
});

test('what is no hello is none, and what it calls itself cannot write on a terminal as it likes', () => {
  assert.is(readHello(null), null);
  assert.is(readHello(['id=x', 'port=1']), null);
  assert.is(told({ port: 0 }), null);
  assert.is(told({ port: 70_000 }), null);
  assert.is(told({ runId: '0011' }), null);
  assert.is(told({ id: 'nobody' }), null);
  assert.is(readHello(writeHello(HELLO).map((part) => part.replace('members=3', 'members=-3'))), null);
  const [esc, newline] = [String.fromCharCode(27), String.fromCharCode(10)];
  assert.is(readHello([...writeHello(HELLO), `name=${esc}[2J${newline}x${'y'.repeat(200)}`])!.name.length, 64);
  assert.not.match(readHello([...writeHello(HELLO), `name=${esc}[2Jred`])!.name, new RegExp(esc));
});

test('members that tell of one run are one run, at all their addresses', () => {
  const other = { ...HELLO, id: HELLO.id.replace('Yeo', 'Yeq'), members: 4, name: '', port: 5 };
  const runs = runsOf([
    { hello: other, host: '10.0.0.2' },
    { hello: HELLO, host: '10.0.0.1' },
    { hello: { ...HELLO, runId: 'f'.repeat(32) }, host: '10.0.0.3' },
  ]);
  assert.equal(
    runs.map(({ name, members, addresses }) => [name, members, addresses.length]),
    [
      ['reviews = fun', 4, 2],
      ['reviews = fun', 3, 1],
    ],
  );
  assert.equal(runs[0]!.addresses, [`/ip4/10.0.0.2/tcp/5/p2p/${other.id}`, `/ip4/10.0.0.1/tcp/4001/p2p/${HELLO.id}`]);
});

test.run();
