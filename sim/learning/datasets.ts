/** @file The data sets of experiments: one that comes with a package, and others read from a folder where they are present. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../node/errors.ts';
import { labelData, openData } from '../../node/train/data.ts';
import { KINDS, readSentences } from '../../node/train/reviews.ts';
import type { Task } from '../../node/train/task.ts';
import { createPrng } from '../../protocol/prng.ts';

export interface Item {
  readonly text: string;
  /** The class; -1 where nobody knows. */
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

/** What a run wants of a data set. */
export interface Request {
  readonly seed: string;
  /** Texts, at most. */
  readonly development: number;
  readonly test: number;
  /** Of data `files` alone. */
  readonly files?: readonly string[];
  readonly developmentFile?: string;
  readonly testFile?: string;
}

type Classes = Pick<Task, 'classes'>;

interface Source {
  readonly about: string;
  /** A task's settings where they are not those of sentiment. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Throws a UserError where a file is missing or a label names no class. */
  readonly read: (request: Request, task: Classes) => Dataset;
}

export const DATASETS: Readonly<Record<string, Source>> = {
  uci: {
    about: 'UCI Sentiment Labelled Sentences: products, films, restaurants (Kotzias et al. 2015)',
    settings: {},
    read: (request) =>
      cut(
        KINDS.flatMap(({ name, file }) => readSentences(file).map((e) => ({ ...e, domain: name }))),
        request,
      ),
  },
  sst2: {
    about: 'Stanford Sentiment Treebank, two classes (Socher et al. 2013)',
    settings: {},
    read: (request, task) => split(request, task, (part) => [[`sst2/${part}.tsv.gz`, 'films']]),
  },
  amazon4: {
    about: 'Amazon reviews of books, DVDs, electronics and kitchen goods (Blitzer et al. 2007)',
    settings: {},
    read: (request, task) =>
      split(request, task, (part) =>
        ['books', 'dvd', 'electronics', 'kitchen'].map((kind) => [`amazon4/${kind}/${part}.tsv.gz`, kind]),
      ),
  },
  imdb: {
    about: 'IMDB reviews (Maas et al. 2011)',
    settings: {},
    read: (request, task) => halves(request, task, { train: 'imdb/train.tsv.gz', test: 'imdb/test.tsv.gz' }, 'films'),
  },
  agnews: {
    about: 'AG News, four topics (Zhang et al. 2015)',
    settings: {
      prompt: '{mask} news : {text}',
      labels: 'World=world,Sports=sports,Business=business,Sci/Tech=science',
    },
    read: (request, task) => halves(request, task, { train: 'agnews/dev.tsv.gz', test: 'agnews/test.tsv.gz' }, 'news'),
  },
  files: {
    about: "files of one's own: one for each peer, its rows without a label unlabelled texts",
    settings: {},
    read: ({ files = [], developmentFile = '', testFile = '', development, test, seed }, task) => ({
      pool: files.flatMap((file) => readItems(file, file, task)),
      development: shuffled(labelledOnly(readItems(developmentFile, 'development', task)), seed).slice(0, development),
      test: shuffled(labelledOnly(readItems(testFile, 'test', task)), seed).slice(0, test),
    }),
  },
};

/** Where the files of the other sets are: LORIKEET_DATA, or a folder beside the checkout. */
function dataFile(name: string): string {
  const path = join(process.env.LORIKEET_DATA ?? join('..', 'shared', 'data'), name);
  if (!existsSync(path))
    throw new UserError('usage', `${path}: not there; set LORIKEET_DATA to the folder of data sets, or use data: uci`);
  return path;
}

/** A set that comes in train, dev and test. */
function split(
  { seed, development, test }: Request,
  task: Classes,
  files: (part: string) => readonly (readonly [file: string, domain: string])[],
): Dataset {
  const read = (part: string): Item[] =>
    shuffled(
      files(part).flatMap(([file, domain]) => readItems(dataFile(file), domain, task)),
      seed,
    );
  return {
    pool: read('train'),
    development: read('dev').slice(0, development),
    test: read('test').slice(0, test),
  };
}

/** A set that comes in train and test: development texts are taken from the former. */
function halves(
  { seed, development, test }: Request,
  task: Classes,
  files: { train: string; test: string },
  domain: string,
): Dataset {
  const read = (file: string): Item[] => shuffled(readItems(dataFile(file), domain, task), seed);
  const train = read(files.train);
  return {
    pool: train.slice(development),
    development: train.slice(0, development),
    test: read(files.test).slice(0, test),
  };
}

/** Test and development in equal parts of every domain, the rest for training. */
function cut(items: readonly Item[], request: Request): Dataset {
  const prng = createPrng(request.seed).fork('dataset');
  const domains = [...new Set(items.map((e) => e.domain))];
  const parts = domains.map((domain) => {
    const mine = prng.fork(domain).shuffle(items.filter((e) => e.domain === domain));
    const [test, development] = [
      Math.floor(request.test / domains.length),
      Math.ceil(request.development / domains.length),
    ];
    return {
      test: mine.slice(0, test),
      development: mine.slice(test, test + development),
      pool: mine.slice(test + development),
    };
  });
  return {
    pool: parts.flatMap((p) => p.pool),
    development: parts.flatMap((p) => p.development).slice(0, request.development),
    test: parts.flatMap((p) => p.test),
  };
}

function shuffled(items: readonly Item[], seed: string): Item[] {
  return createPrng(seed).fork('dataset').shuffle(items);
}

function labelledOnly(items: readonly Item[]): Item[] {
  return items.filter(({ y }) => y >= 0);
}

let last: { name: string; items: readonly Item[] } | null = null;

/** The rows of a file, in order. The last file read is kept, since run after run asks for the same. */
function readItems(path: string, domain: string, task: Classes): readonly Item[] {
  const name = `${path} ${domain} ${task.classes}`;
  if (last?.name === name) return last.items;
  const file = openData(path);
  const { label, others } = file.columns;
  if (label === null && others.length > 0)
    throw new UserError(
      'usage',
      `${path}:1: columns are ${[file.columns.text, ...others].join(', ')}; wanted label for the labels, or texts alone`,
    );
  const items = labelData(file, task).items.map(({ text, y }): Item => ({ text, y: y ?? -1, domain }));
  last = { name, items };
  return items;
}
