/** @file Peers behind routers of their own train together by way of members that can be reached; in network namespaces. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseInvite } from '../../node/invite.ts';

const canHide = spawnSync('unshare', ['-rn', 'iptables', '-t', 'nat', '-L']).status === 0;
/** Seconds. Longer cuts take their time: LORIKEET_LONG=1 makes them too, the last longer than members are remembered. */
const CUTS = process.env.LORIKEET_LONG === '1' ? [10, 60, 150] : [10];

interface Outcome {
  readonly times: readonly [what: string, seconds: number][];
  /** What one behind a router said. */
  readonly relayed: string;
  /** The invite that the other printed. */
  readonly later: string;
  /** What `doctor --network` says behind a router, and before it. */
  readonly shut: string;
  readonly open: string;
}

if (!canHide) {
  test('peers behind routers: skipped, needs network namespaces and iptables (root elsewhere)', () => {});
} else {
  if (CUTS.length === 1) console.log('cuts of 60 and 150 s: skipped, LORIKEET_LONG=1 makes them');
  const script = fileURLToPath(new URL('./parts/routers.js', import.meta.url));
  const { stdout, stderr } = spawnSync('unshare', ['-rn', process.execPath, script, ...CUTS.map(String)], {
    encoding: 'utf8',
    timeout: 800_000,
  });
  const outcome = (): Outcome => {
    assert.match(stdout, /^\{/, stderr);
    return JSON.parse(stdout) as Outcome;
  };

  test('two behind routers of their own mix with each other by way of a third; when that dies, by way of a second', () => {
    assert.equal(
      outcome().times.map(([what]) => what),
      [
        'relayed',
        'both mix with all three others',
        'a member has tried to connect to two machines',
        'the first is dead',
        'both mix with each other and the second',
        'all mix with who came later',
        'found again at another address',
        ...CUTS.map((seconds) => `mended after ${seconds} s`),
      ],
      stderr,
    );
  });

  test('who is behind a router says who cannot connect to it, by way of whom others do, and what helps', () => {
    const { relayed } = outcome();
    assert.match(
      relayed,
      /cannot connect to this peer: a firewall or a router.*others reach it by way of .*let TCP port/,
    );
  });

  test('doctor --network says in a sentence how others reach a peer, as a member has seen it', () => {
    const { shut, open } = outcome();
    assert.match(
      shut,
      /^others reach a peer here by way of members that relay.*could not connect.*\nwhat to do: .*--announce/,
    );
    assert.match(open, /^others reach a peer here directly: 12D3KooW\w+ has connected to its port\n$/);
  });

  test('an invite of one behind a router names those that can be reached, and lets in others when who began is gone', () => {
    const hosts = parseInvite(outcome().later).addresses.map((address) => address.split('/')[2]);
    assert.equal(hosts[0], '192.168.2.2', 'itself first: its word counts');
    assert.ok(hosts.includes('10.77.0.2'), hosts.join());
  });
}

test.run();
