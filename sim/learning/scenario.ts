/** @file Where the peers of an experiment stand: their data, how it is dealt, and whom they reach. */

/** One point of an experiment. Any of it, and any setting, may vary. */
export interface Scenario {
  readonly data: string;
  readonly partition: string;
  /** Concentration of skewed partitions. */
  readonly alpha: number;
  readonly peers: number;
  readonly goldPerClass: number;
  /** Unlabelled texts a peer, at most. */
  readonly unlabelled: number;
  readonly test: number;
  readonly development: number;
  /** The chance that two neighbours reach each other in a round. */
  readonly contact: number;
  /** Local ranks, dealt to the peers in turn; none: everybody the run's. */
  readonly ranks: readonly number[];
  /** With data `files`: a file of texts for each peer, and those that are scored. */
  readonly files: readonly string[];
  readonly developmentFile: string;
  readonly testFile: string;
}
