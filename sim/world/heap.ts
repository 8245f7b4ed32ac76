/** @file Events in virtual time, soonest first; equal times come out in the order they went in. */

export interface Heap<T> {
  push(at: number, item: T): void;
  /** The earliest time, or null. */
  next(): number | null;
  /** Takes the earliest item. */
  pop(): T | null;
  readonly size: () => number;
}

/** A binary heap of the times there are, and at each a line of items: many events share a millisecond. */
export function createHeap<T>(): Heap<T> {
  const times: number[] = [];
  const lines = new Map<number, { readonly items: T[]; taken: number }>();
  let size = 0;
  const swap = (i: number, j: number): void => {
    [times[i], times[j]] = [times[j]!, times[i]!];
  };
  const dropFirst = (): void => {
    lines.delete(times[0]!);
    const last = times.pop()!;
    if (times.length > 0) times[0] = last;
    for (let i = 0; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      let least = i;
      if (left < times.length && times[left]! < times[least]!) least = left;
      if (right < times.length && times[right]! < times[least]!) least = right;
      if (least === i) return;
      swap(i, least);
      i = least;
    }
  };
  return {
    size: () => size,
    next: () => times[0] ?? null,
    push: (at, item) => {
      size += 1;
      const line = lines.get(at);
      if (line) {
        line.items.push(item);
        return;
      }
      lines.set(at, { items: [item], taken: 0 });
      times.push(at);
      for (let i = times.length - 1; i > 0 && times[i]! < times[(i - 1) >> 1]!; i = (i - 1) >> 1) swap(i, (i - 1) >> 1);
    },
    pop: () => {
      if (times.length === 0) return null;
      const line = lines.get(times[0]!)!;
      const item = line.items[line.taken]!;
      line.taken += 1;
      size -= 1;
      if (line.taken === line.items.length) dropFirst();
      return item;
    },
  };
}
