/** @file Runs are found on a network without an invite; in network namespaces. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const hasNamespaces = spawnSync('unshare', ['-rn', 'ip', 'link', 'set', 'lo', 'up']).status === 0;

if (!hasNamespaces) {
  test('runs of this network: skipped, needs network namespaces', () => {});
} else {
  const script = fileURLToPath(new URL('./parts/switch.js', import.meta.url));
  const { stdout, stderr } = spawnSync('unshare', ['-rn', process.execPath, script], {
    encoding: 'utf8',
    timeout: 300_000,
  });
  const outcome = (): { list: string; listCode: number; without: string } => {
    assert.match(stdout, /^\{/, stderr);
    return JSON.parse(stdout);
  };

  test('join without an invite lists the runs of this network: name, members, model, round, who may join', () => {
    const { list, listCode } = outcome();
    assert.is(listCode, 2);
    assert.match(list, /garden +1 member +lorikeet-mini +round 0 of \d+ +open/);
    assert.match(list, /kitchen +1 member +lorikeet-mini +round 0 of \d+ +by invite/);
    assert.not.match(list, /cellar/, 'one that is not to be told of');
  });

  test('a closed run wants an invite, or what follows its dot, also where its addresses are not right any more', () => {
    assert.match(outcome().without, /run kitchen is joined by invite; wanted --secret/);
  });
}

test.run();
