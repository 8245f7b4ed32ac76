/** @file A binary heap of events in virtual time; equal times come out in the order they went in. */

interface Entry<T> {
  readonly at: number;
  readonly order: number;
  readonly item: T;
}

export interface Heap<T> {
  push(at: number, item: T): void;
  /** The earliest item and its time, or null. */
  pop(): { at: number; item: T } | null;
  readonly size: () => number;
}

export function createHeap<T>(): Heap<T> {
  const entries: Entry<T>[] = [];
  let order = 0;
  const before = (i: number, j: number): boolean => {
    const [a, b] = [entries[i]!, entries[j]!];
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  };
  const swap = (i: number, j: number): void => {
    [entries[i], entries[j]] = [entries[j]!, entries[i]!];
  };
  return {
    size: () => entries.length,
    push: (at, item) => {
      entries.push({ at, order: order++, item });
      for (let i = entries.length - 1; i > 0 && before(i, (i - 1) >> 1); i = (i - 1) >> 1) swap(i, (i - 1) >> 1);
    },
    pop: () => {
      const top = entries[0];
      if (!top) return null;
      const last = entries.pop()!;
      if (entries.length > 0) entries[0] = last;
      for (let i = 0; ; ) {
        const [left, right] = [2 * i + 1, 2 * i + 2];
        let least = i;
        if (left < entries.length && before(left, least)) least = left;
        if (right < entries.length && before(right, least)) least = right;
        if (least === i) break;
        swap(i, least);
        i = least;
      }
      return { at: top.at, item: top.item };
    },
  };
}
