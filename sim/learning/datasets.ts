/** @file The data sets of experiments: one that comes with a package, and others read from a folder where they are present. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../node/errors.ts';
import { type Columns, columnNames, foldName } from '../../node/texts/columns.ts';
import { goodRows, labelData, openData } from '../../node/texts/data.ts';
import { KINDS, readSentences } from '../../node/texts/reviews.ts';
import type { Task } from '../../node/texts/task.ts';
import type { Writing } from '../../node/texts/writings.ts';
import { createPrng } from '../../protocol/prng.ts';

export interface Item {
  readonly text: string;
  /** The class; -1 where nobody knows, or nothing is classified. */
  readonly y: number;
  /** Where it is more than one text. */
  readonly writing?: Writing;
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

/** Null where nothing is classified. */
type Classes = Pick<Task, 'classes'> | null;

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
    read: ({ files = [], developmentFile = '', testFile = '', development, test, seed }, task) => {
      const own = files.map((file) => readTexts(file, file, task));
      const [watched, scored] = [readTexts(developmentFile, 'development', task), readTexts(testFile, 'test', task)];
      if (task) refuseMixedNames([...own, watched, scored]);
      return {
        pool: own.flatMap(({ items }) => items),
        development: shuffled(scorable(watched, task), seed).slice(0, development),
        test: shuffled(scorable(scored, task), seed).slice(0, test),
      };
    },
  },
};

/**
 * The texts of a run. Throws a UserError where nothing would be left to score or to train on, which figures would hide: a
 * method without soft labels (`needsGold`) learns from labelled texts alone.
 */
export function readDataset(data: string, request: Request, task: Classes, needsGold: boolean): Dataset {
  const read = DATASETS[data]!.read(request, task);
  const set = task ? read : withoutLabels(read);
  for (const part of ['test', 'development'] as const)
    if (set[part].length === 0)
      throw new UserError(
        'usage',
        `data: ${data} leaves no ${part} texts; wanted other numbers of test and development`,
      );
  if (set.pool.length === 0)
    throw new UserError('usage', `data: no text is left to train on; wanted fewer in test and development`);
  if (needsGold && !set.pool.some(({ y }) => y >= 0))
    throw new UserError(
      'usage',
      `data: no row of ${request.files?.join(', ')} has a label; wanted labelled texts, or the method lp-fl, which can learn without`,
    );
  return set;
}

function withoutLabels(set: Dataset): Dataset {
  const bare = (items: readonly Item[]): Item[] => items.map((item) => ({ ...item, y: -1 }));
  return { pool: bare(set.pool), development: bare(set.development), test: bare(set.test) };
}

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
  const parts = domains.map((domain, d) => {
    const mine = prng.fork(domain).shuffle(items.filter((e) => e.domain === domain));
    const upTo = (count: number): number => Math.floor((count * request.test) / domains.length);
    const [test, development] = [upTo(d + 1) - upTo(d), Math.ceil(request.development / domains.length)];
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

/** The rows of a file that can be scored, the labelled ones where there are classes. Throws a UserError where there is none. */
function scorable({ path, items, columns }: TextFile, task: Classes): readonly Item[] {
  if (!task) return items;
  const labelled = items.filter(({ y }) => y >= 0);
  if (labelled.length > 0) return labelled;
  throw new UserError(
    'usage',
    `${path}: no row has a label (columns: ${columnNames(columns)}); wanted labelled texts to score by`,
  );
}

/** Throws a UserError where files keep their labels under names that differ: they may mean different things. */
function refuseMixedNames(files: readonly TextFile[]): void {
  const [first, ...rest] = files.filter(({ columns }) => columns.label !== null);
  const other = rest.find(({ columns }) => foldName(columns.label!) !== foldName(first!.columns.label!));
  if (other)
    throw new UserError(
      'usage',
      `${other.path}: labels are under "${other.columns.label}" (columns: ${columnNames(other.columns)}), those of ${first!.path} under "${first!.columns.label}"; wanted one name in all files of an experiment`,
    );
}

interface TextFile {
  readonly path: string;
  readonly columns: Columns;
  /** Its rows, in order. */
  readonly items: readonly Item[];
}

function readItems(path: string, domain: string, task: Classes): readonly Item[] {
  return readTexts(path, domain, task).items;
}

let last: { name: string; file: TextFile } | null = null;

/** A file of texts. The last one read is kept, since run after run asks for the same. */
function readTexts(path: string, domain: string, task: Classes): TextFile {
  const name = `${path} ${domain} ${task?.classes}`;
  if (last?.name === name) return last.file;
  if (!task) {
    const options = { objective: 'next-token' };
    const written = openData(path, options);
    const rows = goodRows(written, options).map(({ text, writing }): Item => {
      return { text, y: -1, domain, ...(writing ? { writing } : {}) };
    });
    last = { name, file: { path, columns: written.columns, items: rows } };
    return last.file;
  }
  const file = openData(path);
  const { columns } = file;
  if (columns.label === null && columns.others.length > 0)
    throw new UserError(
      'usage',
      `${path}:1: columns are ${columnNames(columns)}; wanted label for the labels, or texts alone`,
    );
  const items = labelData(file, task).items.map(({ text, y }): Item => ({ text, y: y ?? -1, domain }));
  last = { name, file: { path, columns, items } };
  return last.file;
}
