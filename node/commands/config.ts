/** @file `lorikeet config show`: what a command would go by here, and where each option comes from. */
import type { Command } from 'commander';
import { SETTINGS } from '../../protocol/settings.ts';
import { table } from '../display.ts';
import { UserError } from '../errors.ts';
import { nearest } from '../nearest.ts';
import { applyLayers, LAYERED, originsOf, PROJECT_FILE, userFile, variableOf } from '../program/layers.ts';
import type { Flags } from './flags.ts';

interface Row {
  readonly name: string;
  readonly value: string | boolean | null;
  /** A variable, a file and its line, or `default`. */
  readonly origin: string;
}

export async function showConfig(name: string, flags: Flags, program: Command): Promise<void> {
  const command = program.commands.find((one) => one.name() === name && LAYERED.includes(name));
  if (!command) {
    const like = nearest(name, LAYERED);
    const hint = like ? `; did you mean ${like}?` : '';
    throw new UserError('usage', `config show: got ${JSON.stringify(name)}; wanted ${LAYERED.join(', ')}${hint}`);
  }
  await applyLayers(command, flags.config === undefined ? [] : ['--config', String(flags.config)]);
  const rows = rowsOf(command);
  if (flags.json) {
    const files = { project: PROJECT_FILE, user: userFile() };
    console.log(JSON.stringify({ command: name, files, options: rows }));
    return;
  }
  const shown = flags.origins ? rows : rows.filter(({ origin }) => origin !== 'default');
  if (shown.length === 0)
    console.error(
      `nothing but defaults; ${userFile()}, ${PROJECT_FILE} and ${variableOf('minPeers')} would change them`,
    );
  const cells = shown.map(({ name, value, origin }) => [
    `${name}: ${value ?? ''}`.trimEnd(),
    ...(flags.origins ? [origin] : []),
  ]);
  if (cells.length > 0) console.log(table(cells, 'left').join('\n'));
}

function rowsOf(command: Command): Row[] {
  const origins = originsOf(command);
  return command.options
    .filter((option) => !option.negate && !['help', 'config'].includes(option.attributeName()))
    .map((option) => {
      const name = option.attributeName();
      const given = command.getOptionValue(name) as string | boolean | undefined;
      const standard = Object.hasOwn(SETTINGS, name) ? SETTINGS[name as keyof typeof SETTINGS].default : null;
      return {
        name,
        value: given ?? (standard === null ? null : String(standard)),
        origin: origins.get(name)?.place ?? 'default',
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
