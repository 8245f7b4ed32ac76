/** @file Room for frames that are on their way in or wait to be read, in all and of one peer. */

export interface Room {
  /** Room for so many bytes of a peer; false where there is none. */
  reserve(id: string, bytes: number): boolean;
  release(id: string, bytes: number): void;
}

export function createRoom({ inAll, each }: { inAll: number; each: number }): Room {
  const taken = new Map<string, number>();
  let sum = 0;
  return {
    reserve: (id, bytes) => {
      const own = (taken.get(id) ?? 0) + bytes;
      if (own > each || sum + bytes > inAll) return false;
      taken.set(id, own);
      sum += bytes;
      return true;
    },
    release: (id, bytes) => {
      const left = (taken.get(id) ?? 0) - bytes;
      sum -= bytes;
      if (left > 0) taken.set(id, left);
      else taken.delete(id);
    },
  };
}
