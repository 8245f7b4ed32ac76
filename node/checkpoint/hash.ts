/**
 * @file The hash that names a base by what is computed with: any copy with the same weights, configuration and tokenizer has the
 * same, however it is kept. It is remembered by the files' stamps, since a large model takes seconds to read.
 */
import { createHash, type Hash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { makeFolder, writeFileAtomic } from '../atomic.ts';
import { packageVersion } from '../package.ts';
import { cacheRoot } from './places.ts';
import { readProbes } from './probes.ts';
import { stampOf } from './stamp.ts';
import { type Checkpoint, checkTied, piecesOf } from './stored.ts';

/** Of what is hashed, and how. */
const FORM = 1;
/** A file may be written to again without another time: the clock of a file system ticks this seldom. */
const TICK_MS = 2000;
const MOST_REMEMBERED = 256;
const MEMORY = 'hashes.json';

/**
 * Hex sha256 over the configuration that alters what is computed, every parameter (name, shape, float32), and what the tokenizer
 * makes of some texts. Throws a UserError where the files cannot be read, or do not belong together.
 */
export async function hashOfModel(checkpoint: Checkpoint): Promise<string> {
  const identity = identityOf(checkpoint.files);
  const known = identity === null ? undefined : readMemory()[identity];
  if (known !== undefined) return known;
  checkTied(checkpoint);
  const hash = createHash('sha256');
  hash.update(`lorikeet base ${FORM}\n${checkpoint.architecture.fingerprint}\n`);
  await hashWeights(checkpoint, hash);
  hash.update(readProbes(checkpoint.path));
  const sha256 = hash.digest('hex');
  if (identity !== null && identity === identityOf(checkpoint.files)) await remember(identity, sha256);
  return sha256;
}

async function hashWeights(checkpoint: Checkpoint, hash: Hash): Promise<void> {
  for (const [name, tensor] of checkpoint.tensors) {
    hash.update(`${name} [${tensor.shape}]\n`);
    for (const piece of piecesOf(checkpoint, name, tensor)) {
      hash.update(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
      await breathe();
    }
  }
}

/** What the files are, as long as nobody writes to them; null where one has just been written to. */
function identityOf(files: readonly string[]): string | null {
  const hash = createHash('sha256').update(`${packageVersion()} ${FORM}\n`);
  for (const path of files) {
    const stamp = stampOf(path);
    if (stamp && Date.now() - stamp.changedMs < TICK_MS) return null;
    hash.update(stamp ? `${realpathSync(path)} ${stamp.text}\n` : `${path} -\n`);
  }
  return hash.digest('hex');
}

function readMemory(): Record<string, string> {
  try {
    const found: unknown = JSON.parse(readFileSync(join(cacheRoot(), MEMORY), 'utf8'));
    const all = found !== null && typeof found === 'object' ? Object.entries(found) : [];
    return Object.fromEntries(all.filter(([, sha256]) => /^[0-9a-f]{64}$/.test(sha256)));
  } catch {
    return {}; // none yet, or spoilt: it is written anew
  }
}

async function remember(identity: string, sha256: string): Promise<void> {
  const others = Object.entries(readMemory()).filter(([key]) => key !== identity);
  const all = [...others.slice(1 - MOST_REMEMBERED), [identity, sha256]];
  try {
    makeFolder(cacheRoot());
    await writeFileAtomic(join(cacheRoot(), MEMORY), JSON.stringify(Object.fromEntries(all)));
  } catch {
    // It is read again the next time; who writes the weights tells what is wrong with the disk.
  }
}
