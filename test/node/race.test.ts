/** @file Several ways to one thing: the first that gets there wins, the others are ended, and all reasons are told. */
import '../../node/polyfill.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { race } from '../../node/race.ts';

const options = { deadlineMs: 60_000 };

/** An attempt that ends when it is aborted, and not before. */
function silent(ended: string[], name: string) {
  return (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        ended.push(name);
        reject(signal.reason);
      });
    });
}

test('one that never answers holds nobody up, and is ended when another wins', async () => {
  const ended: string[] = [];
  const result = await race([silent(ended, 'first'), silent(ended, 'second'), async () => 'third'], options);
  assert.is(result, 'third');
  assert.equal(ended, ['first', 'second']);
});

test('after a failure the next begins at once, and none begins after a success', async () => {
  const begun: number[] = [];
  const attempt = (i: number, fails: boolean) => async (): Promise<number> => {
    begun.push(i);
    if (fails) throw new Error(String(i));
    return i;
  };
  assert.is(await race([attempt(0, true), attempt(1, true), attempt(2, false), attempt(3, false)], options), 2);
  assert.equal(begun, [0, 1, 2]);
});

test('where all fail, the reasons come in the order of the attempts', async () => {
  const fail = (name: string) => () => Promise.reject(new Error(name));
  const error = await race([fail('a'), fail('b')], options).catch((e: AggregateError) => e);
  assert.equal((error as AggregateError).errors.map(String), ['Error: a', 'Error: b']);
  assert.instance(await race([], options).catch((e) => e), AggregateError);
});

test('who does not want to wait any more ends it all', async () => {
  const [ended, controller]: [string[], AbortController] = [[], new AbortController()];
  const running = race([silent(ended, 'only')], { ...options, signal: controller.signal }).catch((e) => e);
  controller.abort(new Error('enough'));
  assert.is((await running).message, 'enough');
  assert.equal(ended, ['only']);
});

test.run();
