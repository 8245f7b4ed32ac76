/**
 * @file Labels as files write them, and the classes they name. A name is matched whatever its capitals and spaces, a number
 * whatever its point or sign; a number is a place in the list of classes only where their order says which is which.
 */
import { UserError } from '../errors.ts';
import { nearest } from '../nearest.ts';

/** What a file's label means: a class by its name, or '' for none. By the label as the file writes it. */
export type LabelMap = ReadonlyMap<string, string>;

export interface Labels {
  /** The class of a label, from 0; null: it stands for no label; undefined: it fits nothing. */
  of(label: string): number | null | undefined;
  /** How often each label occurs, the most frequent first. */
  readonly counts: readonly (readonly [label: string, count: number])[];
  /** What would say what the labels that fit nothing mean; empty where all fit. */
  readonly hint: string;
}

/** What tables write where there is no value. */
const MISSING = ['nan', 'na', 'n/a', '<na>', 'null', 'none'];
/** Two classes whose order goes without saying: 0 is the first and 1 the second. */
const ORDERED = ['negative positive', 'neg pos', 'no yes', 'false true', 'bad good', 'off on'];
const ORDERED_THREE = 'negative neutral positive';

/** Reads `1=positive,0=negative`; a label with nothing after it stands for no label. Throws a UserError on anything else. */
export function parseLabelMap(text: string): LabelMap {
  const map = new Map<string, string>();
  for (const pair of text.split(',')) {
    const at = pair.lastIndexOf('=');
    const [label, name] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    if (at < 0 || label === '' || map.has(label))
      throw new UserError(
        'usage',
        `--label-map: got "${text}"; wanted each label of the file once with its class, such as 1=positive,0=negative`,
      );
    map.set(label, name);
  }
  return map;
}

/** Makes sense of the labels of one file. Throws a UserError where numbers could mean one thing or another. */
export function readLabels(all: readonly string[], classes: readonly string[], path: string, map: LabelMap): Labels {
  const counts = countOf(all);
  for (const [label, name] of map)
    if (name !== '' && !classes.includes(name))
      throw new UserError('usage', `--label-map: ${label}=${name}; the classes are ${classes.join(', ')}`);
  const mapped = matcher([...map.keys()]);
  const named = matcher(classes);
  const meant = (label: string): number | null | undefined => {
    const key = mapped(label);
    if (key !== null) return map.get(key) === '' ? null : classes.indexOf(map.get(key)!);
    const name = named(label);
    if (name !== null) return classes.indexOf(name);
    return MISSING.includes(fold(label)) ? null : undefined;
  };
  const open = counts.map(([label]) => label).filter((label) => meant(label) === undefined);
  const numbers = open.filter((label) => Number.isFinite(Number(label)));
  const areClassesNumbers = classes.some((name) => numberOf(name) !== null || /^\d/.test(name));
  const arePlaces = numbers.length > 0 && map.size === 0 && !areClassesNumbers && areInOrder(numbers, classes);
  const flag = suggest(open, counts, classes);
  if (numbers.length > 0 && map.size === 0 && !areClassesNumbers && !arePlaces)
    throw new UserError(
      'usage',
      `${path}: labels are numbers (${listCounts(counts)}), and nothing says which of the classes ${classes.join(', ')} each means; if it is this: ${flag}`,
    );
  const taken = new Map(
    counts.map(([label]) => {
      const y = meant(label);
      return [label, y === undefined && arePlaces ? (numberOf(label) ?? undefined) : y] as const;
    }),
  );
  return {
    of: (label) => taken.get(label),
    counts,
    hint:
      open.length === 0 || (arePlaces && open.length === numbers.length)
        ? ''
        : `labels of the file: ${listCounts(counts)}; wanted ${listNames(classes)}, or what they mean: ${flag}`,
  };
}

/** Whether numbers are places: two classes in their usual order with 0 and 1, three with all of 0, 1 and 2. */
function areInOrder(numbers: readonly string[], classes: readonly string[]): boolean {
  const places = new Set(numbers.map(numberOf));
  const order = classes.map(fold).join(' ');
  if (ORDERED.includes(order)) return [...places].every((place) => place === 0 || place === 1);
  return order === ORDERED_THREE && [0, 1, 2].every((place) => places.has(place)) && places.size === 3;
}

/** Finds what a label names: the very same, else the only one that differs by capitals, spaces, or how a number is written. */
function matcher(names: readonly string[]): (label: string) => string | null {
  const exact = new Set(names);
  return (label) => {
    if (exact.has(label)) return label;
    const [folded, number] = [fold(label), numberOf(label)];
    const alike = names.filter((name) =>
      number === null ? fold(name) === folded : numberOf(name) !== null && numberOf(name) === number,
    );
    return alike.length === 1 ? alike[0]! : null;
  };
}

function fold(label: string): string {
  // What shows nowhere, as a zero-width space, tells no labels apart.
  return label
    .replace(/\p{Cf}/gu, '')
    .trim()
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\s+/g, ' ');
}

/** The whole number a label writes, as 1, +1, 1.0; null of 01, which may be a code, and of anything else. */
function numberOf(label: string): number | null {
  const found = /^([+-]?)(0|[1-9]\d{0,8})(?:\.0*)?$/.exec(label.trim());
  return found ? Number(`${found[1] === '-' ? '-' : ''}${found[2]}`) + 0 : null;
}

function countOf(all: readonly string[]): (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const label of all) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

const MAX_SHOWN = 8;

function listCounts(counts: readonly (readonly [string, number])[]): string {
  const shown = counts.slice(0, MAX_SHOWN).map(([label, count]) => `"${label}" ${count}`);
  return `${shown.join(', ')}${counts.length > MAX_SHOWN ? `, and ${counts.length - MAX_SHOWN} more` : ''}`;
}

function listNames(classes: readonly string[]): string {
  return classes.length > 1 ? `${classes.slice(0, -1).join(', ')} or ${classes.at(-1)}` : classes.join('');
}

/** The flag that would name a class for each label that fits none, as it most likely is; -1 beside 0 means no label. */
function suggest(
  open: readonly string[],
  counts: readonly (readonly [string, number])[],
  classes: readonly string[],
): string {
  const areNumbers = (labels: readonly string[]): boolean => labels.every((label) => numberOf(label) !== null);
  if (areNumbers(classes) && areNumbers(counts.map(([label]) => label))) {
    // All of them are said anew: 0=1 alone would leave 1 for the same class.
    const [from, to] = [counts.map(([label]) => label), [...classes]].map((l) =>
      l.sort((a, b) => Number(a) - Number(b)),
    );
    const pairs = from!.map((label, i) => `${label}=${to![i]}`);
    const some = open.slice(0, MAX_SHOWN).map((label) => `${label}=CLASS`);
    return `--label-map ${(from!.length === to!.length ? pairs : some).join(',')}`;
  }
  const numeric = open.every((label) => Number.isFinite(Number(label)));
  const hasMinus = numeric && open.length > classes.length && open.some((label) => numberOf(label) === -1);
  const labels = open
    .filter((label) => !(hasMinus && numberOf(label) === -1))
    .sort((a, b) => (numeric ? Number(a) - Number(b) : 0));
  // Numbers ascend from the class of the lower rank, whatever the order of --labels.
  const ladder = [...ORDERED, ORDERED_THREE].map((order) => order.split(' '));
  const ranked = ladder.find(
    (order) => order.length === classes.length && classes.every((c) => order.includes(fold(c))),
  );
  const inRank = ranked ? [...classes].sort((a, b) => ranked.indexOf(fold(a)) - ranked.indexOf(fold(b))) : classes;
  const isKnown = (label: string): boolean => counts.some(([other]) => other === label);
  const pairs = labels
    .filter(isKnown)
    .slice(0, MAX_SHOWN)
    .map((label, i) => `${label}=${numeric ? rungOf(i, labels.length, inRank) : likely(label, classes)}`);
  const flag = [...pairs, ...(hasMinus ? [`${open.find((label) => numberOf(label) === -1)}=`] : [])].join(',');
  return `--label-map ${/^[\w=,.+-]+$/.test(flag) ? flag : `'${flag.replaceAll("'", "'\\''")}'`}`;
}

/** The class of the i-th of ascending numbers; of more numbers than classes, as of stars, several share one, the middle has none. */
function rungOf(i: number, count: number, classes: readonly string[]): string {
  if (count <= classes.length) return classes[i] ?? '';
  const isMiddle = classes.length === 2 && 2 * i + 1 === count;
  return isMiddle ? '' : classes[Math.floor((i * classes.length) / count)]!;
}

const YES = ['true', 'yes', 'y', 't', 'good', '+', 'p'];
const NO = ['false', 'no', 'n', 'f', 'bad', '-'];

/** The class a word most likely stands for; CLASS where nothing says. */
function likely(label: string, classes: readonly string[]): string {
  const word = fold(label);
  const begun = classes.filter(
    (name) => word.length > 1 && (fold(name).startsWith(word) || word.startsWith(fold(name))),
  );
  if (begun.length === 1) return begun[0]!;
  for (const [words, side] of [
    [YES, 1],
    [NO, 0],
  ] as const) {
    const found = classes.find(
      (name) => words.includes(word) && ORDERED.some((order) => order.split(' ')[side] === fold(name)),
    );
    if (found !== undefined) return found;
  }
  return (word.length > 2 ? nearest(word, classes) : null) ?? 'CLASS';
}
