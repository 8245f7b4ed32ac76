/** @file Lets pass so many bytes a second of what others send each other by way of this peer: a share of what its line carries. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Stream } from '@libp2p/interface';
import { createBuckets } from '../buckets.ts';

/** Slows streams down, both ways, so that all together stay within the rate; whoever comes first passes first. */
export function createSluice(rate: { burst: number; perSecond: number }): (stream: Stream) => void {
  const bucket = createBuckets(rate);
  async function* slowed<T extends { readonly byteLength: number }>(
    source: AsyncIterable<T> | Iterable<T>,
  ): AsyncGenerator<T> {
    for await (const bytes of source) {
      const waitMs = bucket.borrow('', bytes.byteLength);
      if (waitMs > 0) await pause(waitMs, undefined, { ref: false });
      yield bytes;
    }
  }
  return (stream) => {
    const { sink } = stream;
    stream.source = slowed(stream.source);
    stream.sink = (source) => sink(slowed(source));
  };
}
