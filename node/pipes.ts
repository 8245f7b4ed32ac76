/** @file Output that nobody reads any more: a closed pipe or terminal interrupts what is at work, quietly; it is no crash. */
import { codeOf, EXIT } from './errors.ts';

const listeners = new Set<() => void>();
let closed = false;

/** Codes of a reader that has gone: a pipe, a terminal, a stream that an earlier failure has closed. */
const GONE = ['EPIPE', 'EIO', 'ECONNRESET', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END'];

/**
 * Looks after stdout and stderr, once a process. What nobody interrupts (see `onPipeClosed`) is told to `unheard`. Output
 * that cannot be written for another reason, such as a full disk, is named and ends with the exit code of storage.
 */
export function watchPipes(unheard: () => void = () => {}): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (!GONE.includes(codeOf(error)))
        return lost(error, stream === process.stdout ? process.stderr : process.stdout);
      if (closed) return;
      closed = true;
      if (listeners.size === 0) unheard();
      for (const listener of [...listeners]) listener();
    });
  }
}

/** Calls once where the reader of stdout or stderr goes, at once where it has gone; gives what takes the listener off. */
export function onPipeClosed(listener: () => void): () => void {
  if (closed) listener();
  else listeners.add(listener);
  return () => listeners.delete(listener);
}

let toldLost = false;
function lost(error: Error, other: NodeJS.WriteStream): void {
  if (toldLost) return;
  toldLost = true;
  other.write(`lorikeet: the output cannot be written: ${error.message}\n`);
  process.on('exit', () => {
    process.exitCode = EXIT.storage;
  });
}
