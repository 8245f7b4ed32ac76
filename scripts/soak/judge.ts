/** @file What must hold of a swarm that ran for long. */
/** What befell a peer. */
export interface Blow {
  readonly type: 'kill' | 'sleep' | 'cut';
  readonly place: number;
  /** How long it was away. */
  readonly seconds: number;
  /** From its end until it had mixed with somebody again; null: it had not when it was due. */
  readonly backSeconds: number | null;
}

/** A peer that was let be, as it was seen from outside every few seconds. */
export interface Course {
  readonly place: number;
  /** MB that its resident memory grew by in ten minutes, once it had warmed up; null: too short to say. */
  readonly slope: number | null;
  /** Resident memory after the warm-up (MB). */
  readonly memory: number;
  /** Open files after the warm-up and at the end. */
  readonly files: readonly [number, number];
  /** Size of its state folder (kB) after the warm-up and at the end. */
  readonly state: readonly [number, number];
}

export interface Soaked {
  readonly seconds: number;
  /** Of the one of those let be that has come least far. */
  readonly rounds: number;
  readonly blows: readonly Blow[];
  readonly peers: readonly Course[];
  /** Who ended of itself, and how. */
  readonly ended: readonly string[];
}

const MOST = { slopeMb: 1, files: 8, stateKb: 2048 } as const;

/** In words; empty: all held. */
export function problemsOf({ peers, blows, ended, rounds }: Soaked): string[] {
  const lost = blows.filter(({ backSeconds }) => backSeconds === null);
  return [
    ...ended,
    ...(rounds === 0 ? ['no round was mixed'] : []),
    ...(lost.length > 0 ? [`${lost.length} of ${blows.length} blows after which somebody did not come back`] : []),
    ...peers.flatMap(({ place, slope, files, state }) => [
      ...(slope !== null && slope > MOST.slopeMb
        ? [`peer ${place}: ${slope.toFixed(2)} MB more every 10 min, wanted ${MOST.slopeMb} at most`]
        : []),
      ...(files[1] - files[0] > MOST.files ? [`peer ${place}: ${files[1] - files[0]} more open files`] : []),
      ...(state[1] - state[0] > MOST.stateKb ? [`peer ${place}: its state grew by ${state[1] - state[0]} kB`] : []),
    ]),
  ];
}

/** Slope of the line through points, the median over all pairs (Theil 1950, Sen 1968): spikes do not tilt it. */
export function medianSlope(points: readonly (readonly [x: number, y: number])[]): number | null {
  const step = Math.max(1, Math.floor(points.length / 400));
  const few = points.filter((_, i) => i % step === 0);
  const slopes = few.flatMap(([x, y], i) => few.slice(i + 1).map(([x2, y2]) => (y2 - y) / (x2 - x)));
  return median(slopes);
}

export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? null;
}
