/** @file Token buckets, one a key: so many at once, and so many a second from then on. */

export interface Buckets {
  /** Takes tokens; false, with nothing taken, where there are too few. */
  take(key: string, count?: number): boolean;
  /** Takes them also where there are too few, and gives after how long (ms) they would have been there. */
  borrow(key: string, count?: number): number;
}

/** Keys in mind; of more, the one not used for longest is forgotten. */
const MAX_KEYS = 4096;

export function createBuckets(options: { burst: number; perSecond: number; now?: () => number }): Buckets {
  const { burst, perSecond, now = () => performance.now() } = options;
  const levels = new Map<string, { level: number; at: number }>();
  const levelOf = (key: string): number => {
    const last = levels.get(key);
    return last ? Math.min(burst, last.level + (Math.max(0, now() - last.at) * perSecond) / 1000) : burst;
  };
  const set = (key: string, level: number): void => {
    levels.delete(key); // so that the order is that of use
    levels.set(key, { level, at: now() });
    if (levels.size > MAX_KEYS) levels.delete(levels.keys().next().value!);
  };
  return {
    take: (key, count = 1) => {
      const level = levelOf(key);
      if (level < count) return false;
      set(key, level - count);
      return true;
    },
    borrow: (key, count = 1) => {
      const level = levelOf(key) - count;
      set(key, level);
      return level >= 0 ? 0 : Math.ceil((-level * 1000) / perSecond);
    },
  };
}
