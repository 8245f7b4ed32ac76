/**
 * @file The one table of what experiments and scenarios may say in their files: each field with what it accepts, its default
 * and what it is. Checks, help, docs/fields.md and the JSON Schema files of editors come from it.
 */
import {
  described,
  either,
  elsewhere,
  fieldsOf,
  listOf,
  numberAbove,
  numberFrom,
  oneOf,
  orNothing,
  rangeOf,
  type Schema,
  squareOf,
  such,
  textLike,
  truth,
  wantedBy,
  wholeFrom,
} from '../node/schema.ts';
import { SETTING_FIELDS } from '../node/settings.ts';
import { SETTINGS } from '../protocol/settings.ts';
import { DATASETS } from './learning/datasets.ts';
import { METHODS } from './learning/methods.ts';
import { PARTITIONS } from './learning/partition.ts';
import type { Scenario as Learning } from './learning/scenario.ts';
import { ATTACKS } from './world/attacks.ts';
import { LIES } from './world/faults.ts';
import { LAN } from './world/network.ts';
import type { Scenario as World } from './world/run.ts';
import { STRANGERS } from './world/strangers.ts';
import { TOYS } from './world/toy.ts';

/** A field of a file. */
export interface Field<T = unknown> {
  readonly accepts: Schema;
  /** Absent where a file must say it, or nothing stands for it. */
  readonly default?: T;
  readonly about: string;
}

type Table<T> = { readonly [K in keyof T]-?: Field<T[K]> & { readonly default: T[K] } };

const MANY = 1e12;
const count = wholeFrom(1, 1e7, 'a whole number, 1 or more');
const times = wholeFrom(0, 1e6, 'a whole number, 0 or more');
const amount = numberFrom(0, MANY, 'a number, 0 or more');
const share = numberFrom(0, 1, 'a share from 0 to 1');
const ms = numberFrom(0, 1e9, 'ms, 0 or more');
const range = rangeOf(numberFrom(0, MANY, '[least, most] in ms'), '[least, most] in ms');
const file = textLike(/./, 'the name of a file');

/** Where the peers of an experiment stand. */
export const LEARNING_FIELDS: Table<Learning> = {
  data: { accepts: oneOf(Object.keys(DATASETS)), default: 'uci', about: 'the data set' },
  partition: {
    accepts: oneOf(Object.keys(PARTITIONS)),
    default: 'by-domain',
    about: 'how texts are dealt to the peers; by-domain: each peer one domain, or several where there are fewer peers',
  },
  alpha: {
    accepts: numberAbove(0, MANY, 'a positive number'),
    default: 0.5,
    about:
      "concentration of the partitions dirichlet and quantity: the smaller, the more skewed; LoRA's alpha stands under `settings`",
  },
  peers: { accepts: count, default: 8, about: 'how many peers' },
  goldPerClass: { accepts: count, default: 8, about: 'labelled texts of each class and peer' },
  unlabelled: { accepts: count, default: 400, about: 'unlabelled texts a peer, at most' },
  test: { accepts: count, default: 1500, about: 'texts scored once, at the end' },
  development: { accepts: count, default: 200, about: 'texts watched during a run' },
  contact: {
    accepts: numberAbove(0, 1, 'a chance above 0, at most 1'),
    default: 1,
    about: 'the chance that two neighbours reach each other in a round',
  },
  ranks: {
    accepts: listOf(count, 'a list of whole numbers'),
    default: [],
    about: "local ranks, dealt to the peers in turn, with averaging product; none: everybody the run's",
  },
  files: {
    accepts: listOf(file, 'a list of different files', { isDistinct: true }),
    default: [],
    about: 'with data files: a file of texts for each peer',
  },
  developmentFile: {
    accepts: textLike(/^/, 'the name of a file'),
    default: '',
    about: 'with data files: the texts watched during a run',
  },
  testFile: {
    accepts: textLike(/^/, 'the name of a file'),
    default: '',
    about: 'with data files: the texts scored at the end',
  },
};

/** What of an experiment's fields a scenario has under `learning`: peers stand above, and virtual time has a network of its own. */
const { peers: _peers, contact: _contact, ...LEARNING_WITHIN } = LEARNING_FIELDS;

/** Times from place to place. */
export const LATENCY_TABLE = squareOf(numberFrom(0, 1e9, 'a square table of ms'), 'a square table of ms');
/** A latency, in words. */
const LATENCY = '[least, most] in ms, { median, sigma }, { least, mean }, or { file: a table of ms, jitter: a share }';
const latency = either<unknown>(
  [
    rangeOf(ms, LATENCY),
    fieldsOf({ median: ms, sigma: ms }, { required: ['median', 'sigma'], wanted: LATENCY }),
    fieldsOf({ least: ms, mean: ms }, { required: ['least', 'mean'], wanted: LATENCY }),
    fieldsOf({ file, jitter: share }, { required: ['file'], wanted: LATENCY }),
    fieldsOf({ matrix: LATENCY_TABLE, jitter: share }, { required: ['matrix', 'jitter'], wanted: LATENCY }),
  ],
  LATENCY,
);

const device = fieldsOf(
  { name: textLike(/./, 'a name'), share, stepMs: range },
  { required: ['name', 'share', 'stepMs'], wanted: '{ name, share, stepMs: [least, most] }' },
);
const DEVICES = '[{ name, share, stepMs: [least, most] }, ...], shares that sum to 1';

/** The world of one run. */
export const WORLD_FIELDS: Table<World> = {
  peers: { accepts: count, default: 16, about: 'how many peers' },
  size: { accepts: count, default: 100, about: 'numbers of an adapter' },
  roster: {
    accepts: truth(),
    default: false,
    about: 'everybody knows everybody, can reach them and announces nothing: for thousands',
  },
  trainer: {
    accepts: oneOf([...Object.keys(TOYS), 'lora']),
    default: 'none',
    about:
      "`none` only mixes; `quadratic` pulls towards a point of each peer's own; `logistic` fits labelled points; `lora` is the language model",
  },
  samples: { accepts: count, default: 16, about: 'labelled points a peer has, with trainer logistic' },
  skew: {
    accepts: share,
    default: 0,
    about: 'share of its points that is of one class, half the peers of each, with trainer logistic',
  },
  dirichlet: {
    accepts: numberFrom(0, MANY, 'a number, 0 or more'),
    default: 0,
    about:
      "concentration of peers' shares of the two classes, with trainer logistic: the smaller, the more unlike; 0: all alike",
  },
  learning: {
    accepts: fieldsOf(describedFields(LEARNING_WITHIN), {
      kind: "field of an experiment's file here",
      wanted: "fields of an experiment's file, such as { goldPerClass: 8 }",
    }),
    default: {},
    about: "with trainer lora: data, partition, goldPerClass, ... as in an experiment's file",
  },
  trainMs: { accepts: range, default: [50, 500], about: "virtual ms of a round's training, uniform" },
  devices: {
    accepts: such(
      listOf(device, DEVICES) as Schema<{ share: number }[]>,
      (all) => all.length === 0 || Math.abs(all.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-6,
      DEVICES,
    ),
    default: [],
    about: 'classes of devices instead, `[{ name: phone, share: 0.3, stepMs: [400, 900] }, ...]`: ms of one step',
  },
  stragglers: {
    accepts: fieldsOf(
      { share, slowdown: numberFrom(1, MANY, 'a factor, 1 or more') },
      { required: ['share', 'slowdown'], wanted: '{ share: 0 to 1, slowdown: 1 or more }' },
    ),
    default: { share: 0, slowdown: 1 },
    about: 'the first peers train so many times slower',
  },
  latencyMs: {
    accepts: latency,
    default: LAN.latencyMs,
    about:
      "of a message's way, in ms: uniform; log-normal; exponential on top of the least; or `{ file: regions.txt, jitter: 0.3 }`, a table from place to place, peers dealt to the places in turn",
  },
  bandwidthMbps: {
    accepts: amount,
    default: LAN.bandwidthMbps,
    about: "of a peer's line in Mbit/s; 0: any amount at once",
  },
  loss: {
    accepts: numberFrom(0, 0.95, 'a share from 0 to 0.95'),
    default: LAN.loss,
    about: 'share of messages that get lost; what is under way may be overtaken',
  },
  duplication: { accepts: share, default: LAN.duplication, about: 'share of messages that come twice' },
  natShare: {
    accepts: share,
    default: LAN.natShare,
    about: 'share of the peers that cannot be dialled; two of them never meet',
  },
  partition: {
    accepts: orNothing(
      such(
        fieldsOf(
          { fromMs: amount, untilMs: amount, share, oneWay: truth() },
          {
            required: ['fromMs', 'untilMs', 'share'],
            wanted: '{ fromMs, untilMs, share: 0 to 1, oneWay: true or false }',
          },
        ),
        ({ fromMs, untilMs }) => Number(fromMs) <= Number(untilMs),
        'an untilMs that is not before its fromMs',
      ),
    ),
    default: LAN.partition,
    about: '`{ fromMs, untilMs, share, oneWay }`: the last peers are cut off for a while; `null`: nobody is',
  },
  crashes: {
    accepts: times,
    default: 0,
    about:
      'how many, one after the other, of peers drawn by chance, as the next four: as kill -9 after any effect of a step',
  },
  fullDisks: { accepts: times, default: 0, about: 'a save that fails' },
  spoiltSnapshots: { accepts: times, default: 0, about: 'a snapshot torn or altered while its peer is down' },
  clockJumps: { accepts: times, default: 0, about: 'a clock that jumps ahead' },
  freezes: { accepts: times, default: 0, about: 'a process that stands still for up to `freezeMs`' },
  freezeMs: { accepts: amount, default: 5000, about: 'how long a process stands still, at most (virtual ms)' },
  downMs: { accepts: amount, default: 500, about: 'how long a peer stays down (virtual ms)' },
  joiners: { accepts: times, default: 0, about: 'the last so many peers come later' },
  joinMs: { accepts: amount, default: 3000, about: 'so much later (virtual ms)' },
  scored: { accepts: oneOf(['rounds', 'end']), default: 'rounds', about: 'every round is scored, or the last alone' },
  liars: {
    accepts: fieldsOf(
      { share, kind: oneOf(LIES, ' | ') },
      { required: ['share', 'kind'], wanted: `{ share: 0 to 1, kind: ${LIES.join(' | ')} }` },
    ),
    default: { share: 0, kind: 'garbage' },
    about: `the first peers lie, and only the others are measured: \`garbage\`, \`silent\` (only says that it is there), \`stale\` (old frames again), \`denial\` (says that it has not mixed what it has); or what they send is poison: ${aboutAll(ATTACKS)}`,
  },
  strangers: {
    accepts: fieldsOf(
      { kind: oneOf(Object.keys(STRANGERS), ' | '), count: times, fromMs: amount, untilMs: amount, invites: times },
      { required: ['kind', 'count', 'fromMs', 'untilMs', 'invites'] },
    ),
    default: { kind: 'far', count: 0, fromMs: 0, untilMs: 0, invites: 0 },
    about: `so many members made up by somebody outside, for a while, let in by so many invites, or in an open run (0): ${aboutAll(STRANGERS)}`,
  },
  untilMs: { accepts: amount, default: 600_000, about: 'then faults end and what is open is settled (virtual ms)' },
};

/** Every kind of a table, and what it is. */
function aboutAll(kinds: Readonly<Record<string, { readonly about: string }>>): string {
  return Object.entries(kinds)
    .map(([name, { about }]) => `\`${name}\` (${about})`)
    .join(', ');
}

/** Settings that are given in other ways, and in which. */
const ELSEWHERE: Readonly<Record<string, Schema>> = {
  seed: elsewhere('cannot be set here; wanted seeds: [1, 2, 3] at the top of the file'),
  baseHash: elsewhere("cannot be set here; the hash is the base's own"),
  startHash: elsewhere('cannot be set here; every run starts from a fresh adapter'),
};
const SETTINGS_HERE: Readonly<Record<string, Schema>> = { ...SETTING_FIELDS, ...ELSEWHERE };
const settings = fieldsOf(SETTINGS_HERE, { kind: 'setting' });

const seed = such(
  either<string | number>(
    [textLike(/^[\x21-\x7e]{1,64}$/, 'a seed'), numberFrom(-MANY, MANY, 'a seed')],
    'names or numbers, one a seed',
  ),
  (given) => !String(given).includes('..'),
  'seeds one by one, such as [1, 2, 3], or --seeds 1..3',
);

/** What both kinds of file have; `own` are the fields that may vary beside the settings. */
function commonFields(own: Readonly<Record<string, Field>>): Readonly<Record<string, Field>> {
  const varying = { ...SETTINGS_HERE, ...describedFields(own) }; // alpha is the field, not LoRA's
  const kind = 'field that may vary, or setting';
  const values = Object.fromEntries(
    Object.entries(varying).map(([name, accepts]) => [
      name,
      name in ELSEWHERE ? accepts : listOf(accepts, 'a list of values', { least: 1 }),
    ]),
  );
  return {
    name: { accepts: textLike(/^[\w-]+$/, 'letters, digits and dashes'), about: 'of the records and the report' },
    about: {
      accepts: orNothing(either<unknown>([textLike(/^/, 'a text'), amount], 'a text')),
      default: '',
      about: 'what the report says first',
    },
    seeds: {
      accepts: listOf(seed, 'a list of seeds, such as [1, 2, 3], or --seeds 1..3', { least: 1, isDistinct: true }),
      about: 'every run once for each',
    },
    settings: {
      accepts: orNothing(settings),
      default: {},
      about: 'of every run: names and values as in settings.md',
    },
    vary: {
      accepts: orNothing(fieldsOf(values, { kind, wanted: 'name: [values]' })),
      about: 'every value with every other: fields and settings, each with a list of values',
    },
    points: {
      accepts: listOf(fieldsOf(varying, { kind }), 'a list of name: value', { least: 1 }),
      about: 'instead of `vary`: points one by one, each with its own fields and settings',
    },
  };
}

/** All fields of an experiment's file. */
export const EXPERIMENT_FIELDS: Readonly<Record<string, Field>> = {
  ...commonFields(LEARNING_FIELDS),
  methods: {
    accepts: listOf(oneOf(Object.keys(METHODS)), 'a list of methods', { least: 1, isDistinct: true }),
    about: `what is compared: ${Object.keys(METHODS).join(', ')}`,
  },
  overrides: {
    accepts: orNothing(
      fieldsOf(Object.fromEntries(Object.keys(METHODS).map((name) => [name, settings])), { kind: 'method' }),
    ),
    default: {},
    about: 'settings of one method alone: `{ fp-fedavg: { learningRate: 0.00003 } }`',
  },
  ...LEARNING_FIELDS,
};

/** A graph of one's own. */
const GRAPH_FIELDS: Readonly<Record<string, Field>> = {
  edgesFile: {
    accepts: textLike(/./, 'the name of a file of edges'),
    about: 'who mixes with whom: two numbers of peers a line, which begin with 0',
  },
  parts: {
    accepts: wholeFrom(1, 1e6, 'a whole number, 1 or more'),
    about:
      'in how many parts that never come together the graph of edges is; where this is not said, a graph in parts is refused, or told of where `trainer: none` stands in the file',
  },
};

/** All fields of a scenario's file. */
export const SCENARIO_FIELDS: Readonly<Record<string, Field>> = {
  ...commonFields({ ...WORLD_FIELDS, ...GRAPH_FIELDS }),
  ...WORLD_FIELDS,
  ...GRAPH_FIELDS,
};

export const EXPERIMENT_FILE = fieldsOf(describedFields(EXPERIMENT_FIELDS), { required: ['name', 'methods', 'seeds'] });
export const SCENARIO_FILE = fieldsOf(describedFields(SCENARIO_FIELDS), { required: ['name', 'seeds'] });

/** All settings of a run, as fields of a file for `lorikeet up --config`. */
export const SETTINGS_FIELDS: Readonly<Record<string, Field>> = Object.fromEntries(
  Object.entries(SETTINGS).map(([name, setting]) => [
    name,
    { accepts: SETTING_FIELDS[name]!, default: setting.default, about: setting.about },
  ]),
);

/** A field as help and documents show it. */
export interface FieldRow {
  readonly name: string;
  /** As YAML; empty where there is none. */
  readonly default: string;
  readonly accepts: string;
  readonly about: string;
}

/** The fields of a table, as help and documents show them. */
export function rowsOf(fields: Readonly<Record<string, Field>>): FieldRow[] {
  return Object.entries(fields).map(([name, { accepts, about, default: fallback }]) => ({
    name,
    default: fallback === undefined || fallback === '' ? '' : yamlText(fallback),
    accepts: wantedBy(accepts),
    about,
  }));
}

/** A value as YAML on one line. */
function yamlText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(yamlText).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const fields = Object.entries(value).map(([name, of]) => `${name}: ${yamlText(of)}`);
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`;
}

function describedFields(fields: Readonly<Record<string, Field>>): Record<string, Schema> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, described(field.accepts, field.about, field.default)]),
  );
}

/** What stands for each field where a file does not say it. */
export function defaultsOf<T>(fields: Table<T>): T {
  return Object.fromEntries(Object.entries<Field>(fields).map(([name, field]) => [name, field.default])) as T;
}
