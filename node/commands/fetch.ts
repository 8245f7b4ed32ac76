/** @file `lorikeet fetch`: downloads a model of the Hub into its cache, where every command and Python find it. */
import { readModelName } from '../checkpoint/names.ts';
import { createDisplay } from '../display.ts';
import { UserError } from '../errors.ts';
import type { Flags } from './flags.ts';
import { download } from './provide.ts';

export async function fetchToCache(name: string, flags: Flags): Promise<void> {
  const wanted = readModelName(name);
  if (!wanted)
    throw new UserError(
      'usage',
      `model: got ${JSON.stringify(name.slice(0, 200))}; wanted org/name, org/name@revision or org/name:FILE.gguf, as the address of its page on the Hub has it`,
    );
  const path = await download(wanted, createDisplay());
  console.log(flags.json ? JSON.stringify({ model: name, path }) : path);
}
