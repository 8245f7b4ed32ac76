/** @file Peers on three machines: who joins can be joined, also when who began is gone; in network namespaces. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseInvite } from '../../node/invite.ts';
import type { Ended } from '../processes.ts';

const hasNamespaces = spawnSync('unshare', ['-rn', 'ip', 'link', 'set', 'lo', 'up']).status === 0;

interface Outcome {
  readonly invite: string;
  /** What the second printed once it had met the first. */
  readonly both: string;
  /** What the third printed once it had met the second. */
  readonly ofOther: string;
  /** How the first invite ended when who had given it was dead. */
  readonly alone: Ended;
  readonly first: string;
  readonly third: string;
}

if (!hasNamespaces) {
  test('peers on three machines: skipped, needs network namespaces', () => {});
} else {
  const script = fileURLToPath(new URL('./parts/machines.js', import.meta.url));
  const { stdout, stderr } = spawnSync('unshare', ['-rn', process.execPath, script], {
    encoding: 'utf8',
    timeout: 800_000,
  });
  const outcome = (): Outcome => {
    assert.match(stdout, /^\{/, stderr);
    return JSON.parse(stdout) as Outcome;
  };
  const hostsOf = (invite: string): string[] => parseInvite(invite).addresses.map((a) => a.split('/')[2]!);

  test('who joins listens where other machines reach it, and its invite names who invited it as well', () => {
    const { invite, both } = outcome();
    assert.equal(hostsOf(invite), ['10.77.0.1'], 'no loopback where there is better');
    assert.equal(hostsOf(both), ['10.77.0.2', '10.77.0.1']);
  });

  test('an invite whose inviter is dead says where nobody answers and that it names nobody else', () => {
    const { alone, invite } = outcome();
    assert.is(alone.code, 4, alone.err);
    const [address] = parseInvite(invite).addresses;
    assert.ok(alone.err.includes(`nobody answers at ${address} (nothing listens there: ECONNREFUSED)`), alone.err);
    assert.match(alone.err, /it names nobody else to ask.*Whoever is in the run can give a fresh invite/);
  });

  test('an invite that names two is joined by the second when the first is dead', () => {
    assert.match(outcome().third, /2 of 9 here/);
  });

  test('who was killed comes back by an invite whose inviter is dead, to others it had met', () => {
    assert.ok(outcome(), 'else the script waits for it in vain');
  });

  test('who listens on loopback only says that nobody can connect to it, and its invite names who can be reached', () => {
    const { first, third, ofOther } = outcome();
    assert.match(third, /no other machine can connect to this peer, since it listens on 127\.0\.0\.1 only/);
    assert.equal(hostsOf(ofOther), ['10.77.0.2']);
    assert.not.match(first, /no other machine/);
  });
}

test.run();
