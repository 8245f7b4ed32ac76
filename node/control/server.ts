/** @file Answers, over a socket that only its user can open, what commands ask of a peer at work. */
import { chmodSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { messageOf } from '../errors.ts';
import {
  type Answer,
  createLines,
  lineOf,
  MAX_ANSWER,
  MAX_REQUEST,
  type Request,
  readRequest,
  VERSION,
} from './messages.ts';
import { placeSocket } from './place.ts';

/** Connections at once, and how long one may be silent. */
const [MAX_CONNECTIONS, SILENT_MS] = [16, 60_000];

export interface Control {
  readonly path: string;
  stop(): void;
}

/**
 * Listens in a state folder that this process has locked. `answer` gives what is told, as JSON can say it. Throws what the
 * system throws.
 */
export async function openControl(folder: string, answer: (request: Request) => unknown): Promise<Control> {
  const place = placeSocket(folder);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(SILENT_MS, () => socket.destroy());
    const say = (message: Answer): void => {
      if (socket.writableLength > MAX_ANSWER) socket.destroy();
      else socket.write(lineOf(message));
    };
    const refuse = (problem: string): void => say({ v: VERSION, ok: false, problem });
    const onLine = (line: string): void => {
      const request = readRequest(line);
      if (typeof request === 'string') return refuse(request);
      try {
        say({ v: VERSION, ok: true, answer: answer(request.ask) });
      } catch (error) {
        refuse(messageOf(error));
      }
    };
    socket.on(
      'data',
      createLines(MAX_REQUEST, onLine, () => {
        refuse(`a line longer than ${MAX_REQUEST} characters`);
        socket.end();
      }),
    );
  });
  server.maxConnections = MAX_CONNECTIONS;
  const stop = (): void => {
    server.close();
    for (const socket of sockets) socket.end();
    place.remove();
  };
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).once('listening', resolve);
      const mask = process.umask(0o177); // nobody else can open it, not even for a moment
      try {
        server.listen(place.path);
      } finally {
        process.umask(mask);
      }
    });
    if (process.platform !== 'win32') chmodSync(place.path, 0o600);
  } catch (error) {
    stop();
    throw error;
  }
  server.on('error', () => {}); // a connection that could not be taken is not there
  server.unref();
  return { path: place.path, stop };
}
