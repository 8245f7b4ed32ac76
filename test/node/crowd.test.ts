/** @file Twenty peers behind one address are twenty peers; in network namespaces. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const canHide = spawnSync('unshare', ['-rn', 'iptables', '-t', 'nat', '-L']).status === 0;
const wanted = 'twenty peers behind one router are all connected to one that is public, and heard by it';

if (!canHide) test(`${wanted}: skipped, needs network namespaces and iptables (root elsewhere)`, () => {});
else
  test(wanted, () => {
    const script = fileURLToPath(new URL('./parts/crowd.js', import.meta.url));
    const { stdout, stderr } = spawnSync('unshare', ['-rn', process.execPath, script], {
      encoding: 'utf8',
      timeout: 300_000,
    });
    assert.match(stdout, /^\{/, stderr);
    assert.equal(JSON.parse(stdout), { connected: 20, heard: 20 });
  });

test.run();
