/** @file The names of the schedules: who may mix with whom in a round (neighbours.ts). */
export const SCHEDULE_NAMES = [
  'random-regular',
  'ring',
  'full',
  'torus',
  'exponential',
  'one-peer-exponential',
  'random-pairs',
  'erdos-renyi',
  'small-world',
  'barabasi-albert',
  'star',
  'edges',
] as const;
export type ScheduleName = (typeof SCHEDULE_NAMES)[number];
