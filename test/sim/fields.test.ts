/** @file The table of fields: defaults fit what they are defaults of, settings are those of the protocol, and schemas say the same. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { jsonSchemaOf, mistakesOf, wantedBy } from '../../node/schema.ts';
import { SETTING_FIELDS, SETTINGS_FILE } from '../../node/settings.ts';
import { readYaml } from '../../node/yaml.ts';
import { parseSettings } from '../../protocol/config.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import {
  EXPERIMENT_FIELDS,
  EXPERIMENT_FILE,
  LEARNING_FIELDS,
  rowsOf,
  SCENARIO_FIELDS,
  SCENARIO_FILE,
  WORLD_FIELDS,
} from '../../sim/fields.ts';
import { planRuns } from '../../sim/learning/plan.ts';
import { readSpec } from '../../sim/learning/spec.ts';
import { ROOT } from '../support.ts';

test('every default is a value its field accepts, and every field is told in words', () => {
  for (const fields of [EXPERIMENT_FIELDS, SCENARIO_FIELDS])
    for (const [name, { accepts, about, default: fallback }] of Object.entries(fields)) {
      if (fallback !== undefined) assert.equal(mistakesOf(accepts, fallback), [], name);
      assert.ok(about.length > 5 && wantedBy(accepts).length > 3, name);
    }
  assert.is(rowsOf(WORLD_FIELDS).find(({ name }) => name === 'stragglers')?.default, '{ share: 0, slowdown: 1 }');
});

test('a file accepts of each setting what the protocol accepts, no more and no less', () => {
  const tried = [
    0,
    1,
    2,
    -1,
    0.5,
    1e9,
    '',
    ' ',
    '3',
    '2.5',
    'x',
    'on',
    'ring',
    '0-1',
    'a=b,c=d',
    'a,b',
    null,
    true,
    [],
    {},
  ];
  let accepted = 0;
  for (const [name, setting] of Object.entries(SETTINGS))
    for (const value of [...tried, setting.default]) {
      const parsed = parseSettings({ [name]: value });
      // What does not go together with the defaults is not this setting's own matter.
      const isOwn = parsed.ok || !/even number|with schedule edges/.test(parsed.problem);
      if (!isOwn) continue;
      const mistakes = mistakesOf(SETTING_FIELDS[name]!, value);
      assert.is(mistakes.length === 0, parsed.ok, `${name}: ${JSON.stringify(value)}`);
      if (parsed.ok) accepted += 1;
      else assert.is(`${name}: ${mistakes[0]!.problem}`.split('; did')[0], parsed.problem);
    }
  assert.ok(accepted > Object.keys(SETTINGS).length, String(accepted));
});

test('schemas for editors know every field, refuse others, and say what each is', () => {
  interface Node {
    readonly $ref?: string;
    readonly properties?: Readonly<Record<string, Node>>;
    readonly additionalProperties?: boolean;
    readonly required?: readonly string[];
    readonly description?: string;
  }
  for (const [file, names] of [
    [EXPERIMENT_FILE, Object.keys(EXPERIMENT_FIELDS)],
    [SCENARIO_FILE, Object.keys(SCENARIO_FIELDS)],
    [SETTINGS_FILE, Object.keys(SETTINGS)],
  ] as const) {
    const schema = jsonSchemaOf(file, 'x') as unknown as Node & {
      readonly definitions: Readonly<Record<string, Node>>;
    };
    const follow = (node: Node): Node => (node.$ref ? schema.definitions[node.$ref.split('/').at(-1)!]! : node);
    assert.equal(Object.keys(schema.properties!).sort(), [...names].sort());
    assert.is(schema.additionalProperties, false);
    for (const name of names) assert.ok(follow(schema.properties![name]!).description, name);
    // Nested tables refuse what they do not know as well.
    const open = Object.values(schema.definitions ?? {}).filter(
      (node) => node.properties && node.additionalProperties !== false,
    );
    assert.equal(open, []);
  }
});

test('schemas for editors are JSON Schema, accept every committed file, and refuse what is refused by line', () => {
  for (const [file, folder] of [
    [EXPERIMENT_FILE, 'experiments'],
    [SCENARIO_FILE, 'scenarios'],
  ] as const) {
    const schema = JSON.parse(JSON.stringify(jsonSchemaOf(file, folder)));
    const fits = new Ajv({ strict: false }).compile(schema);
    const names = readdirSync(join(ROOT, 'sim', folder)).filter((name) => name.endsWith('.yaml'));
    const files = names.map((name) => readYaml(join(ROOT, 'sim', folder, name), 'a file').given);
    for (const [i, given] of files.entries()) assert.ok(fits(given), `${names[i]}: ${JSON.stringify(fits.errors)}`);
    for (const more of [{ rond: 1 }, { peers: 0 }, { settings: { rond: 1 } }, { vary: { rank: [0] } }, { seeds: [] }])
      assert.not.ok(fits({ ...files[0], ...more }), JSON.stringify(more));
  }
});

test('alpha that varies is the concentration of a partition and leaves the alpha of LoRA alone', async () => {
  const names = Object.keys({ ...LEARNING_FIELDS, ...WORLD_FIELDS }).filter((name) => name in SETTINGS);
  assert.equal(names, ['alpha'], 'a name that means two things');
  const spec = readSpec(
    {
      name: 'x',
      seeds: [1],
      methods: ['lp-fl-gold'],
      peers: 3,
      points: [{ partition: 'dirichlet', alpha: 0.1 }],
      settings: { alpha: 4 },
    },
    'x',
  );
  const [run] = await planRuns(spec);
  assert.equal([run!.scenario.alpha, run!.settings.alpha], [0.1, 4]);
});

test.run();
