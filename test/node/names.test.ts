/** @file What peers call themselves is carried, and shown without harm; and how far a connection leads. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { agentOf, createNames, MAX_NAME, nameIn } from '../../node/network/names.ts';
import { throughOf } from '../../node/network/ways.ts';

test('a name comes back as it was; who gives itself none has none', () => {
  for (const name of ['anna', 'Anna B. (lab 3)', 'Ζωή', '🦜 one', '']) assert.is(nameIn(agentOf(name)), name);
  for (const agent of [undefined, '', 'js-libp2p/2.10.0 node/v22', 'lorikeet/0.1.0', 'lorikeet/ '])
    assert.is(nameIn(agent), '', agent);
});

test('a hostile name writes on a terminal nothing but a short line', () => {
  const [esc, override] = [String.fromCharCode(27), String.fromCharCode(0x202e)];
  const hostile = [`${esc}[2Jgone`, `a\nb\r\tc`, `${override}evil`, 'x'.repeat(100_000), `${'y'.repeat(29)}🦜`];
  for (const name of hostile) {
    const read = nameIn(`lorikeet/1.0.0 ${name}`);
    assert.ok(read.length <= MAX_NAME, read);
    assert.not.match(read, /[\p{C}\n\r\t]/u);
  }
});

test('names are kept of so many; who drops its name has none', () => {
  const names = createNames();
  for (let i = 0; i < 5000; i++) names.hear(`id ${i}`, agentOf(`peer ${i}`));
  assert.equal([names.all.size, names.all.get('id 4999'), names.all.has('id 0')], [1024, 'peer 4999', false]);
  names.hear('id 4999', agentOf(''));
  assert.not.ok(names.all.has('id 4999'));
});

test('how far a connection leads is told by the host at its other end', () => {
  const own = ['10.0.0.5', 'fd00::5'];
  const far = ['', '127.0.0.1', '::1', '10.0.0.5', 'fd00::5', '10.0.0.6', '192.168.1.2', 'fe80::1', '8.8.8.8'];
  assert.equal(
    far.map((host) => throughOf(host, own)),
    ['relay', ...Array(4).fill('machine'), ...Array(3).fill('lan'), 'internet'],
  );
});

test.run();
