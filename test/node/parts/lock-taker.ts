/** @file A process that takes a lock whenever it is told to and holds it until it is told to let go. */
import { type Lock, takeLock } from '../../../node/lock.ts';

const [path] = process.argv.slice(2);
let lock: Lock | null = null;

process.on('message', (order: 'take' | 'release') => {
  if (order === 'take') {
    const taken = takeLock(path!);
    if (taken.type === 'taken') lock = taken;
    process.send!(taken.type);
    return;
  }
  lock?.release();
  lock = null;
  process.send!('released');
});
process.send!('ready');
