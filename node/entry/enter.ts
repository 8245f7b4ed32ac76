/** @file What a state folder is told when a peer enters a run, and while it takes part. */
import type { Saved, Store } from '../store.ts';
import type { Beginning } from './begin.ts';

/** How far a peer has come, and whom it knows by then. */
export type Progress = Pick<Saved, 'port' | 'bootstrap' | 'mixedWith' | 'invited'>;

/** Writes down what a peer enters with; gives what writes down how far it is. Throws a UserError where that cannot be written. */
export async function enterState(
  store: Store,
  entry: Beginning & {
    readonly saved: Saved | null;
    /** Where the state has none yet. */
    readonly key: Uint8Array | null;
    readonly bootstrap: readonly string[];
  },
): Promise<(progress: Progress) => Promise<void>> {
  const { run, isBack, follows, earlierRounds, saved, key, bootstrap } = entry;
  const write = (progress: Progress): Promise<void> =>
    store.writeRun({ settings: run.settings, follows, earlierRounds, ...progress });
  if (run.given) await store.writeStart(run.given);
  if (key) await store.key(async () => key);
  // Before its first snapshot takes the place of the one of the run that is over.
  if (saved && !isBack) await write({ port: saved.port, bootstrap, mixedWith: {}, invited: [] });
  return write;
}
