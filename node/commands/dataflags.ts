/** @file The flags that say how a file of texts is to be read, for every command that reads one. */
import type { Command } from 'commander';
import type { DataOptions } from '../texts/data.ts';
import { parseLabelMap } from '../texts/labels.ts';
import type { Flags } from './flags.ts';

/** Adds them to a command. */
export function withData(command: Command): Command {
  return command
    .option('--label-map <pairs>', 'what the labels of your file mean, such as 1=positive,0=negative; "-1=": no label')
    .option('--text-column <name>', 'column or key of the texts; default: text, or another usual name')
    .option(
      '--label-column <name>',
      'column or key of the labels; none: there are none; default: label, or another usual name',
    )
    .option('--skip-bad-rows', 'leave out rows that cannot be read or whose label is no class; they are counted');
}

/** Reads them. Throws a UserError on a label map that is none. */
export function dataOptions(flags: Flags): DataOptions {
  const { labelMap, textColumn, labelColumn, skipBadRows } = flags;
  return {
    ...(typeof labelMap === 'string' ? { labelMap: parseLabelMap(labelMap) } : {}),
    ...(typeof textColumn === 'string' ? { textColumn } : {}),
    ...(typeof labelColumn === 'string' ? { labelColumn } : {}),
    skipBadRows: skipBadRows === true,
  };
}
