/** @file `npm run docs`: writes the pages and the schemas of docs/ that come from the program and from the tables of settings and of fields. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { jsonSchemaOf } from '../node/schema.ts';
import { SETTINGS_FILE } from '../node/settings.ts';
import { wantedOf } from '../protocol/config.ts';
import type { Setting } from '../protocol/setting.ts';
import { SETTINGS } from '../protocol/settings.ts';
import {
  EXPERIMENT_FIELDS,
  EXPERIMENT_FILE,
  type Field,
  rowsOf,
  SCENARIO_FIELDS,
  SCENARIO_FILE,
} from '../sim/fields.ts';
import { readArguments } from './arguments.ts';
import { commandsPage } from './commands-page.ts';

/** Settings the first peer of a run fills in. */
const MEASURED = ['baseHash', 'labelPrior'];

/** Everything that is written, by its path from the root. */
export const PAGES: Readonly<Record<string, () => string>> = {
  'docs/commands.md': commandsPage,
  'docs/settings.md': settingsPage,
  'docs/fields.md': fieldsPage,
  'docs/schema/experiment.json': () => json(jsonSchemaOf(EXPERIMENT_FILE, 'An experiment of Lorikeet')),
  'docs/schema/scenario.json': () => json(jsonSchemaOf(SCENARIO_FILE, 'A scenario of Lorikeet')),
  'docs/schema/settings.json': () => json(jsonSchemaOf(SETTINGS_FILE, 'Settings of a run of Lorikeet')),
};

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}

/** Text as a cell of a Markdown table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** The settings as a Markdown table. */
function settingsPage(): string {
  const rows = (Object.entries(SETTINGS) as [string, Setting][]).map(([name, setting]) => {
    const nothing = MEASURED.includes(name)
      ? '(measured)'
      : ['prompt', 'targets'].includes(name)
        ? '(of the base)'
        : '(none)';
    const shown = setting.default === '' ? nothing : `\`${setting.default}\``;
    return `| \`${name}\` | ${cell(shown)} | ${cell(wantedOf(setting))} | ${cell(setting.about)} | ${cell(setting.why)} | ${setting.arithmetic ? 'yes' : ''} |`;
  });
  return [
    '# Settings of a run',
    '',
    'Made by `npm run docs` from `protocol/settings.ts`, the one table that also gives the flags of the command line (`roundDeadlineMs` is `--round-deadline-ms`), their help and their checks. A file for `lorikeet up --config`, a `lorikeet.yaml` and your own `config.yaml` ([commands.md](commands.md)) are YAML of these names, which editors know by [schema/settings.json](schema/settings.json) (see [fields.md](fields.md)). Settings marked "run id" alter what is computed: peers that differ in one cannot meet.',
    '',
    '| setting | default | accepts | what | why this default | run id |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

/** The fields of experiments and scenarios as Markdown tables. */
function fieldsPage(): string {
  const tableOf = (fields: Readonly<Record<string, Field>>): string[] => [
    '| field | default | accepts | what |',
    '|---|---|---|---|',
    ...rowsOf(fields).map((row) => {
      const fallback = row.default === '' ? '' : `\`${row.default}\``;
      return `| \`${row.name}\` | ${cell(fallback)} | ${cell(row.accepts)} | ${cell(row.about)} |`;
    }),
  ];
  return [
    '# Fields of experiments and scenarios',
    '',
    'Made by `npm run docs` from `sim/fields.ts`, the one table by which files are checked, whose rows `lorikeet fields experiment` and `lorikeet fields scenario` print, and from which the schemas of editors are made. [sim/README.md](../sim/README.md) tells what the two are for; a [setting](settings.md) stands under `settings`, or varies.',
    '',
    '## An experiment',
    '',
    ...tableOf(EXPERIMENT_FIELDS),
    '',
    '## A scenario',
    '',
    ...tableOf(SCENARIO_FIELDS),
    '',
    '## In an editor',
    '',
    'Names are completed, explained and checked while you write, where the editor knows YAML schemas (VS Code with the YAML extension; Neovim, Helix, Emacs and others with yaml-language-server) and the file begins with a line that names one, by its path from the file or by its URL:',
    '',
    '```yaml',
    '# yaml-language-server: $schema=../../docs/schema/scenario.json',
    '```',
    '',
    '[schema/experiment.json](schema/experiment.json) is for experiments, [schema/scenario.json](schema/scenario.json) for scenarios, [schema/settings.json](schema/settings.json) for `lorikeet up --config`. An installed package has them in `node_modules/lorikeet/docs/schema/`; `lorikeet fields scenario --json` prints one. JetBrains: Settings, Languages & Frameworks, Schemas and DTDs, JSON Schema Mappings.',
    '',
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  readArguments({
    name: 'docs',
    about: 'Writes the pages and the schemas of docs/ that come from the tables of settings and of fields.',
    options: {},
    examples: [''],
  });
  for (const [name, page] of Object.entries(PAGES)) {
    const path = join(fileURLToPath(new URL('../..', import.meta.url)), name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, page());
    console.log(path);
  }
}
