/** @file Many hosts on one address of a LAN, where the limits that are lifted for loopback hold; in a network namespace. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const HOSTS = 12;
const [IPV4, IPV6] = ['10.9.0.1', 'fd09::1'];
const hasNamespaces = spawnSync('unshare', ['-rn', 'ip', 'link', 'set', 'lo', 'up']).status === 0;

for (const address of [IPV4, IPV6]) {
  const wanted = `hosts that share ${address} all hear each other`;
  if (!hasNamespaces) {
    test(`${wanted}: skipped, needs a network namespace`, () => {});
    continue;
  }
  test(wanted, () => {
    const script = fileURLToPath(new URL('./parts/lan.js', import.meta.url));
    const add = address === IPV6 ? `ip -6 addr add ${address}/128 dev lo nodad` : `ip addr add ${address}/32 dev lo`;
    const inside = `ip link set lo up && ${add} && exec "$0" "$1" ${address} ${HOSTS}`;
    const { stdout, stderr } = spawnSync('unshare', ['-rn', 'sh', '-c', inside, process.execPath, script], {
      encoding: 'utf8',
      timeout: 800_000,
    });
    assert.is(stdout.trim(), `${HOSTS - 1}`, stderr);
  });
}

test.run();
