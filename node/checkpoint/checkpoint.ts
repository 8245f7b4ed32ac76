/** @file Opens a model wherever it is kept: a folder of Hugging Face's, or a GGUF file. */
import { statSync } from 'node:fs';
import { openFolder } from './folder.ts';
import { openGgufModel } from './gguf.ts';
import type { Checkpoint } from './stored.ts';

/** Reads all but the weights, whose names and shapes are checked. Throws a UserError that says what is wrong and where. */
export function openCheckpoint(path: string): Checkpoint {
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
  return isFile || /\.gguf$/i.test(path) ? openGgufModel(path) : openFolder(path);
}
