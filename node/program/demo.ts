/** @file Where the demo differs from a run's defaults. A leaf. */

/** Over in a minute or two, gold labels only. */
export const DEMO_SETTINGS = { rounds: 8, softLabels: 'none' } as const;
