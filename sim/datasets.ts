/** @file The data sets of experiments: one that comes with a package, and others read from a folder where they are present. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../node/errors.ts';
import { readRows } from '../node/train/data.ts';
import { KINDS, readSentences } from '../node/train/reviews.ts';
import { createPrng, type Prng } from '../protocol/prng.ts';

export interface Item {
  readonly text: string;
  readonly y: number;
  /** Where the text is from: what `by-domain` splits by. */
  readonly domain: string;
}

export interface Dataset {
  /** For training: gold and unlabelled texts are drawn from here. */
  readonly pool: readonly Item[];
  /** Watched during a run and for tuning. */
  readonly development: readonly Item[];
  /** Scored once, at the end. */
  readonly test: readonly Item[];
}

export interface Sizes {
  readonly seed: string;
  readonly development: number;
  readonly test: number;
}

/** A task's settings where they are not those of sentiment. */
interface Source {
  readonly about: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly read: (folder: string, sizes: Sizes, classes: readonly string[]) => Dataset;
}

/** Where the files of the other sets are: a folder beside the checkout, or LORIKEET_DATA. */
export function dataFolder(): string {
  return process.env.LORIKEET_DATA ?? join('..', 'shared', 'data');
}

export const DATASETS: Readonly<Record<string, Source>> = {
  uci: {
    about: 'UCI Sentiment Labelled Sentences: products, films, restaurants (Kotzias et al. 2015)',
    settings: {},
    read: (_folder, sizes) =>
      cut(
        KINDS.flatMap(({ name, file }) => readSentences(file).map((e) => ({ ...e, domain: name }))),
        sizes,
      ),
  },
  sst2: {
    about: 'Stanford Sentiment Treebank, two classes (Socher et al. 2013)',
    settings: {},
    read: (folder, sizes, classes) => ready(sizes, classes, (part) => [[`sst2/${part}.tsv.gz`, 'films']])(folder),
  },
  amazon4: {
    about: 'Amazon reviews of books, DVDs, electronics and kitchen goods (Blitzer et al. 2007)',
    settings: {},
    read: (folder, sizes, classes) =>
      ready(sizes, classes, (part) =>
        ['books', 'dvd', 'electronics', 'kitchen'].map((kind): [string, string] => [
          `amazon4/${kind}/${part}.tsv.gz`,
          kind,
        ]),
      )(folder),
  },
  imdb: {
    about: 'IMDB reviews (Maas et al. 2011)',
    settings: {},
    read: (folder, sizes, classes) => {
      const train = shuffled(readItems(folder, 'imdb/train.tsv.gz', 'films', classes), sizes.seed);
      const test = shuffled(readItems(folder, 'imdb/test.tsv.gz', 'films', classes), sizes.seed).slice(0, sizes.test);
      return { pool: train.slice(sizes.development), development: train.slice(0, sizes.development), test };
    },
  },
  agnews: {
    about: 'AG News, four topics (Zhang et al. 2015)',
    settings: {
      prompt: '{mask} news : {text}',
      labels: 'World=world,Sports=sports,Business=business,Sci/Tech=science',
    },
    read: (folder, sizes, classes) => {
      const train = shuffled(readItems(folder, 'agnews/dev.tsv.gz', 'news', classes), sizes.seed);
      const test = shuffled(readItems(folder, 'agnews/test.tsv.gz', 'news', classes), sizes.seed).slice(0, sizes.test);
      return { pool: train.slice(sizes.development), development: train.slice(0, sizes.development), test };
    },
  },
};

/** A set whose files are split into train, dev and test already. */
function ready(
  sizes: Sizes,
  classes: readonly string[],
  files: (part: string) => readonly (readonly [string, string])[],
): (folder: string) => Dataset {
  const read = (folder: string, part: string): Item[] =>
    shuffled(
      files(part).flatMap(([file, domain]) => readItems(folder, file, domain, classes)),
      sizes.seed,
    );
  return (folder) => ({
    pool: read(folder, 'train'),
    development: read(folder, 'dev').slice(0, sizes.development),
    test: read(folder, 'test').slice(0, sizes.test),
  });
}

/** Test and development in equal parts of every domain, the rest for training. */
function cut(items: readonly Item[], sizes: Sizes): Dataset {
  const prng = createPrng(sizes.seed).fork('dataset');
  const domains = [...new Set(items.map((e) => e.domain))];
  const parts = domains.map((domain) => {
    const mine = prng.fork(domain).shuffle(items.filter((e) => e.domain === domain));
    const [test, development] = [
      Math.floor(sizes.test / domains.length),
      Math.ceil(sizes.development / domains.length),
    ];
    return {
      test: mine.slice(0, test),
      development: mine.slice(test, test + development),
      pool: mine.slice(test + development),
    };
  });
  return {
    pool: parts.flatMap((p) => p.pool),
    development: parts.flatMap((p) => p.development).slice(0, sizes.development),
    test: parts.flatMap((p) => p.test),
  };
}

function shuffled(items: readonly Item[], seed: string): Item[] {
  const prng: Prng = createPrng(seed).fork('dataset');
  return prng.shuffle(items);
}

function readItems(folder: string, file: string, domain: string, classes: readonly string[]): Item[] {
  const path = join(folder, file);
  if (!existsSync(path))
    throw new UserError('usage', `${path}: not there; set LORIKEET_DATA to the folder of data sets, or use data: uci`);
  return readRows(path).flatMap(({ text, label }) => {
    const y = label === null ? -1 : classes.includes(label) ? classes.indexOf(label) : Number(label);
    return Number.isInteger(y) && y >= 0 && y < classes.length ? [{ text, y, domain }] : [];
  });
}
