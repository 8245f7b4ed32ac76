/**
 * @file The demo's private texts: UCI Sentiment Labelled Sentences (Kotzias et al. 2015), three kinds of 1,000 sentences, as
 * the npm package `sentiment` carries them; split among peers by kind, with a shared test set nobody trains on.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createPrng } from '../../protocol/prng.ts';
import type { Example } from './data.ts';

export const KINDS = [
  { name: 'products', file: 'amazon.json' },
  { name: 'films', file: 'imdb.json' },
  { name: 'restaurants', file: 'yelp.json' },
] as const;

export interface Share {
  /** The kind of review this peer holds. */
  readonly kind: string;
  readonly gold: readonly Example[];
  /** Texts whose label the peer does not see; the truth is kept for measuring alone. */
  readonly unlabelled: readonly Example[];
}

export interface Reviews {
  readonly shares: readonly Share[];
  /** Watched during the run; disjoint from everything else. */
  readonly development: readonly Example[];
  /** Scored once, at the end. */
  readonly test: readonly Example[];
}

const TEST_A_KIND = 200;
const DEVELOPMENT_A_KIND = 20;

/** Splits the sentences, drawn from the seed: peer i holds kind i mod 3. Sizes are per class where a class is named. */
export function splitReviews(options: { seed: string; peers: number; goldPerClass: number }): Reviews {
  const prng = createPrng(options.seed).fork('reviews');
  const shares: Share[] = new Array(options.peers);
  const [test, development]: [Example[], Example[]] = [[], []];
  KINDS.forEach(({ name, file }, kind) => {
    const shuffled = prng.fork(name).shuffle(readSentences(file));
    test.push(...shuffled.slice(0, TEST_A_KIND));
    development.push(...shuffled.slice(TEST_A_KIND, TEST_A_KIND + DEVELOPMENT_A_KIND));
    const rest = shuffled.slice(TEST_A_KIND + DEVELOPMENT_A_KIND);
    const holders = Array.from({ length: options.peers }, (_, i) => i).filter((i) => i % KINDS.length === kind);
    holders.forEach((peer, nth) => {
      const own = rest.filter((_, i) => i % holders.length === nth);
      const gold = [0, 1].flatMap((y) => own.filter((e) => e.y === y).slice(0, options.goldPerClass));
      shares[peer] = { kind: name, gold, unlabelled: own.filter((e) => !gold.includes(e)) };
    });
  });
  return { shares, development, test };
}

/** Sentences of one kind, each text once; the file ends with an empty element. */
export function readSentences(file: string): Example[] {
  const folder = dirname(createRequire(import.meta.url).resolve('sentiment/package.json'));
  const rows: { text: string; class: number | null }[] = JSON.parse(
    readFileSync(join(folder, 'test', 'fixtures', file), 'utf8'),
  );
  const seen = new Set<string>();
  return rows.flatMap(({ text, class: y }) => {
    if (text === '' || y === null || seen.has(text)) return [];
    seen.add(text);
    return [{ text, y }];
  });
}
