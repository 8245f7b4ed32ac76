/** @file `npm run docs`: writes docs/settings.md from the table of settings. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { wantedOf } from '../protocol/config.ts';
import type { Setting } from '../protocol/setting.ts';
import { SETTINGS } from '../protocol/settings.ts';
import { readArguments } from './arguments.ts';

/** Settings the first peer of a run fills in. */
const MEASURED = ['baseHash', 'labelPrior'];

/** The settings as a Markdown table. */
export function settingsPage(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const rows = (Object.entries(SETTINGS) as [string, Setting][]).map(([name, setting]) => {
    const nothing = MEASURED.includes(name) ? '(measured)' : '(none)';
    const shown = setting.default === '' ? nothing : `\`${setting.default}\``;
    return `| \`${name}\` | ${cell(shown)} | ${cell(wantedOf(setting))} | ${cell(setting.about)} | ${cell(setting.why)} | ${setting.arithmetic ? 'yes' : ''} |`;
  });
  return [
    '# Settings of a run',
    '',
    'Made by `npm run docs` from `protocol/settings.ts`, the one table that also gives the flags of the command line (`roundDeadlineMs` is `--round-deadline-ms`), their help and their checks. A file for `lorikeet up --config` is YAML of these names. Settings marked "run id" alter what is computed: peers that differ in one cannot meet.',
    '',
    '| setting | default | accepts | what | why this default | run id |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  readArguments({
    name: 'docs',
    about: 'Writes docs/settings.md from the table of settings.',
    options: {},
    examples: [''],
  });
  const path = join(fileURLToPath(new URL('../..', import.meta.url)), 'docs', 'settings.md');
  writeFileSync(path, settingsPage());
  console.log(path);
}
