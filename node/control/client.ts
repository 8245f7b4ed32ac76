/** @file Asks a peer at work, over the control socket of its state folder. */
import { connect } from 'node:net';
import { codeOf, messageOf, UserError } from '../errors.ts';
import { type Answer, createLines, lineOf, MAX_ANSWER, type Request, VERSION } from './messages.ts';
import { findSocket } from './place.ts';

/** A peer answers at once, unless its process is stopped or busy. */
const DEADLINE_MS = 10_000;
/** Nobody listens: there is no socket, or one that a killed process has left. */
const NOBODY = ['ENOENT', 'ECONNREFUSED', 'ENOTDIR'];

/**
 * What the peer of a state folder answers; null where none is at work. Throws a UserError where it may not be asked, does not
 * answer, or refuses.
 */
export async function askPeer(folder: string, request: Request): Promise<unknown> {
  const path = findSocket(folder);
  const line = await new Promise<string | null>((resolve, reject) => {
    const socket = connect(path);
    const fail = (why: string): void => {
      socket.destroy();
      reject(new UserError('unreachable', `${path}: ${why}`));
    };
    socket.setTimeout(DEADLINE_MS, () => fail(`the peer has not answered within ${DEADLINE_MS / 1000} s`));
    socket.on('error', (error) => {
      if (NOBODY.includes(codeOf(error))) resolve(null);
      else if (codeOf(error) === 'EACCES') reject(new UserError('storage', `${path}: the peer of another user`));
      else fail(messageOf(error));
    });
    socket.on('close', () => fail('the peer has ended'));
    const take = (answer: string): void => {
      resolve(answer);
      socket.destroy();
    };
    socket.on(
      'data',
      createLines(MAX_ANSWER, take, () => fail('a longer answer than any')),
    );
    socket.write(lineOf({ v: VERSION, ask: request }));
  });
  if (line === null) return null;
  const answer = JSON.parse(line) as Answer;
  if (answer.ok) return answer.answer;
  throw new UserError('incompatible', `${path}: the peer refuses: ${answer.problem}`);
}
