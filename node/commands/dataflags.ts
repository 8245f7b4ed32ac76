/** @file Reads the flags that say how a file of texts is to be read. */
import type { DataOptions } from '../texts/data.ts';
import { parseLabelMap } from '../texts/labels.ts';
import type { Flags } from './flags.ts';

/** Throws a UserError on a label map that is none. */
export function dataOptions(flags: Flags): DataOptions {
  const { labelMap, textColumn, labelColumn, skipBadRows } = flags;
  return {
    ...(typeof labelMap === 'string' ? { labelMap: parseLabelMap(labelMap) } : {}),
    ...(typeof textColumn === 'string' ? { textColumn } : {}),
    ...(typeof labelColumn === 'string' ? { labelColumn } : {}),
    skipBadRows: skipBadRows === true,
  };
}
