/** @file Opens a model wherever it is kept: a folder of Hugging Face's, or a GGUF file. */
import { statSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { openFolder } from './folder.ts';
import { openGgufModel } from './gguf.ts';
import type { Checkpoint } from './stored.ts';

/** Reads all but the weights, whose names and shapes are checked. Throws a UserError that says what is wrong and where. */
export function openCheckpoint(path: string): Checkpoint {
  if (path.endsWith('.gguf')) return openGgufModel(path);
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
  if (!isFile) return openFolder(path);
  throw new UserError('usage', `${path}: is a file; wanted the folder of a model, or a file that ends with .gguf`);
}
