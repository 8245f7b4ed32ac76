/** @file Locks: one holder whoever dies with it and however many try at once; who is running is told by more than a number. */
import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isAlive } from '../../node/holder.ts';
import { takeLock } from '../../node/lock.ts';
import { ROOT, temporaryFolder } from '../support.ts';

/** Of no process: Linux has no higher numbers than 2^22. */
const DEAD = ['999999999', '999999998', '999999997'] as const;
const claimOf = (path: string, text: string): string =>
  `${path}.${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;

test('of 25 processes at once exactly one takes a lock, fresh, left by a dead one, or by one that died taking it over', async () => {
  const path = join(temporaryFolder(), 'lock');
  const takers = Array.from({ length: 25 }, () => fork(join(ROOT, 'dist/test/node/parts/lock-taker.js'), [path]));
  try {
    await Promise.all(takers.map(answerOf));
    for (let turn = 0; turn < 12; turn++) {
      const [left, claimed, again] = DEAD;
      if (turn % 4 > 0) writeFileSync(path, left);
      if (turn % 4 > 1) writeFileSync(claimOf(path, left), claimed);
      if (turn % 4 > 2) writeFileSync(claimOf(claimOf(path, left), claimed), again);
      const answers = await tell(takers, 'take');
      assert.is(answers.filter((answer) => answer === 'taken').length, 1, `turn ${turn}: ${answers}`);
      await tell(takers, 'release');
      assert.not.ok(existsSync(path));
    }
  } finally {
    for (const taker of takers) taker.kill('SIGKILL');
  }
  const last = takeLock(path);
  assert.is(last.type, 'taken');
  if (last.type === 'taken') last.release();
});

test('what those that died have left goes away with the next lock; what others hold stays', () => {
  const path = join(temporaryFolder(), 'lock');
  writeFileSync(path, DEAD[0]);
  writeFileSync(claimOf(path, 'long ago'), DEAD[1]);
  writeFileSync(`${path}.mine`, `${process.ppid}`);
  const lock = takeLock(path);
  assert.equal(readdirSync(join(path, '..')).sort(), ['lock', 'lock.mine']);
  assert.is(takeLock(path).type, 'busy', 'this very process has it');
  if (lock.type !== 'taken') throw new Error('not taken');
  assert.not.ok(lock.isLost());
  writeFileSync(path, 'another');
  assert.ok(lock.isLost());
  lock.release();
  assert.is(readFileSync(path, 'utf8'), 'another', 'what is not ours is not let go');
});

test('a process is told from another with its number, and from those of other machines', () => {
  const path = join(temporaryFolder(), 'lock');
  const lock = takeLock(path);
  const text = readFileSync(path, 'utf8');
  assert.ok(isAlive(text));
  const [pid, start, boot, space, host] = text.split(' ') as [string, string, string, string, string];
  const made = (...words: string[]): boolean | null => isAlive([...words, 'life', 'text'].join(' '));
  if (start !== '-') {
    assert.is(made(pid, start, boot, space, host), true);
    assert.is(made(pid, `${start}0`, boot, space, host), false, 'its number was used before');
    assert.is(made(pid, start, 'another-boot', space, host), false, 'the machine has started again');
    assert.is(made(pid, start, boot, 'pid:[1]', host), null, 'a container');
  }
  assert.is(made(pid, start, 'another-boot', space, `${host}-2`), null, 'another machine');
  assert.is(isAlive(DEAD[0]), false);
  assert.is(isAlive(String(process.pid)), false, 'an earlier version in an earlier life');
  assert.is(isAlive(''), null);
  if (lock.type === 'taken') lock.release();
});

test('a lock nobody here can judge is taken over once it has not been touched for a minute', () => {
  const path = join(temporaryFolder(), 'lock');
  for (const text of ['', '7 another-machine', '7 1 boot space another-machine life text']) {
    writeFileSync(path, text);
    const busy = takeLock(path);
    assert.equal([busy.type, busy.type === 'busy' && busy.holder?.pid], ['busy', text === '' ? undefined : 7]);
    utimesSync(path, new Date(0), new Date(0));
    const lock = takeLock(path);
    if (lock.type !== 'taken') throw new Error(`${text} is still there`);
    lock.release();
  }
});

test('what is no file where the lock should be is said by the system', () => {
  const path = join(temporaryFolder(), 'lock');
  mkdirSync(path);
  assert.throws(() => takeLock(path), /EISDIR/);
});

function answerOf(taker: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('a taker ended'));
    taker.once('exit', ended).once('message', (answer) => {
      taker.off('exit', ended);
      resolve(answer);
    });
  });
}

/** Tells all at once; their answers. */
function tell(takers: readonly ChildProcess[], order: 'take' | 'release'): Promise<unknown[]> {
  const answers = takers.map(answerOf);
  for (const taker of takers) taker.send(order);
  return Promise.all(answers);
}

test.run();
