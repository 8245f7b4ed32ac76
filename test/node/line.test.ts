/** @file Frames one after the other: what ends with its connection has not left, and a deadline is of one frame. */
import { mock } from 'node:test';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Channel, createLine } from '../../node/line.ts';

const FRAME = Uint8Array.of(1, 2, 3);

/** A channel that takes each frame when `take` is called. */
function channel() {
  const taken: Uint8Array[] = [];
  let next: () => void = () => {};
  let isAborted = false;
  let isOver = false;
  const of: Channel = {
    carry: async (frames) => {
      for await (const frame of frames) {
        taken.push(frame);
        await new Promise<void>((resolve) => {
          next = resolve;
        });
      }
      isOver = true;
    },
    abort: () => {
      isAborted = true;
    },
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { of, taken, take: () => next(), isAborted: () => isAborted, isOver: () => isOver, turn };
}

test('frames leave in order, each when the channel asks for the next', async () => {
  const { of, taken, take, turn } = channel();
  const line = createLine({ open: async () => of, deadlineMs: 10_000, maxBytes: 100, onEnd: () => {} });
  const left: number[] = [];
  const sent = [1, 2, 3].map((i) => line.send(Uint8Array.of(i)).then((ok) => ok && left.push(i)));
  for (let i = 1; i <= 3; i++) {
    await turn();
    assert.is(taken.length, i);
    take();
  }
  await Promise.all(sent);
  assert.equal(left, [1, 2, 3]);
  line.end();
});

test('a line that ends, idle or not, says so once, lets its channel go, and takes no more', async () => {
  for (const isIdle of [true, false]) {
    const { of, isAborted, isOver, take, turn } = channel();
    let ends = 0;
    const line = createLine({
      open: async () => of,
      deadlineMs: 10_000,
      maxBytes: 100,
      onEnd: () => {
        ends += 1;
      },
    });
    const sent = line.send(FRAME);
    await turn();
    if (isIdle) {
      take();
      assert.is(await sent, true);
    }
    line.end();
    line.end();
    if (!isIdle) assert.is(await sent, false);
    take();
    await turn();
    assert.equal([ends, isAborted(), isOver(), await line.send(FRAME)], [1, true, true, false]);
  }
});

test('the deadline begins anew with each frame that leaves', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const { of, take, turn } = channel();
    const line = createLine({ open: async () => of, deadlineMs: 300, maxBytes: 100, onEnd: () => {} });
    const sent = [0, 1, 2, 3].map(() => line.send(FRAME));
    await turn();
    for (let i = 0; i < 4; i++) {
      mock.timers.tick(200); // 800 ms in all
      take();
      await turn();
    }
    assert.equal(await Promise.all(sent), [true, true, true, true]);
    const last = line.send(FRAME);
    mock.timers.tick(299);
    const early = await Promise.race([last, turn().then(() => 'still waiting')]);
    assert.is(early, 'still waiting');
    mock.timers.tick(1);
    assert.is(await last, false, 'nobody takes this one');
  } finally {
    mock.timers.reset();
  }
});

test('frames that wait are of bounded bytes; one may be longer, and what finds no room has not left', async () => {
  const { of, take, turn } = channel();
  let full = 0;
  const onFull = (): void => {
    full += 1;
  };
  const line = createLine({ open: async () => of, deadlineMs: 10_000, maxBytes: 10, onEnd: () => {}, onFull });
  const long = line.send(new Uint8Array(50));
  assert.is(await line.send(FRAME), false);
  await turn();
  take();
  assert.is(await long, true);
  const short = [line.send(FRAME), line.send(FRAME), line.send(FRAME)];
  assert.is(await line.send(FRAME), false);
  for (let i = 0; i < 3; i++) {
    await turn();
    take();
  }
  assert.equal(await Promise.all(short), [true, true, true]);
  assert.is(full, 2);
  line.end();
});

test.run();
