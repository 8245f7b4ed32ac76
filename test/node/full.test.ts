/** @file A peer whose disk is full waits for room and loses nothing. Disks are small ones in namespaces, where those can be made. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UserError } from '../../node/errors.ts';
import { untilThereIsRoom } from '../../node/full.ts';
import { MACHINE, type Running, said, startIn, writeTexts } from '../processes.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
writeTexts(folder, 'a.tsv', ['a dull film', 'a warm film', 'cold food', 'kind staff']);
mkdirSync(join(folder, 'state'));
const MOUNT = 'mount -t tmpfs -o size=4m tmpfs state; exec "$@"';
const SMALL_DISK = ['unshare', '-rm', 'sh', '-ec', MOUNT, 'sh'];
const isPossible = spawnSync(SMALL_DISK[0]!, [...SMALL_DISK.slice(1), 'true'], { cwd: folder }).status === 0;

function start(rounds: number): Running {
  const run = ['--min-peers', '1', '--rounds', String(rounds), '--local-steps', '1', '--batch-size', '2'];
  const args = ['up', '--data', 'a.tsv', '--state', 'state', '--anyway', '--json', '--follow', ...run, ...MACHINE];
  return startIn(folder, args, {}, SMALL_DISK);
}

/** Fills the disk of a peer that has had its first rounds, and waits until it says so. */
async function fill(peer: Running): Promise<string> {
  await said(peer, /"event":"round","round":3/);
  const fill = `/proc/${peer.child.pid}/root${folder}/state/fill`;
  assert.throws(() => writeFileSync(fill, new Uint8Array(2 ** 23)), /ENOSPC/);
  await said(peer, /ENOSPC.*; waiting for room, nothing is lost/);
  return fill;
}

test('a full disk is waited for, and the run goes on to its end', async () => {
  if (!isPossible) return console.log('skipped: a full disk: needs namespaces of mounts');
  const peer = start(40);
  rmSync(await fill(peer));
  const { code, out, err } = await peer.done;
  assert.is(code, 0, err);
  assert.match(err, /there is room again: saved, and going on/);
  const rounds = [...out.matchAll(/"event":"round","round":(\d+)/g)].map((match) => Number(match[1]));
  assert.equal(
    rounds,
    rounds.map((_, i) => rounds[0]! + i),
    'no round is left out or done twice',
  );
});

test('Ctrl-C ends the wait', async () => {
  if (!isPossible) return console.log('skipped: a full disk: needs namespaces of mounts');
  const peer = start(10_000);
  await fill(peer);
  peer.child.kill('SIGINT');
  const { code, err } = await peer.done;
  assert.is(code, 130, err);
});

test('what fails for another reason than room is told at once, and a wait that is over throws', async () => {
  const denied = Object.assign(new Error('not yours'), { code: 'EACCES' });
  const full = new UserError('storage', 'full', Object.assign(new Error('no room'), { code: 'ENOSPC' }));
  for (const [error, signal] of [
    [denied, undefined],
    [full, AbortSignal.abort()],
  ] as const) {
    let tries = 0;
    const write = async (): Promise<void> => {
      tries += 1;
      throw error;
    };
    assert.is(await untilThereIsRoom(write, { signal }).catch((thrown) => thrown), error);
    assert.is(tries, 1);
  }
});

test.run();
