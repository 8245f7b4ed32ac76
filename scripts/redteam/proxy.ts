/** @file A cable that can be squeezed: carries a connection to a peer, from some bytes on at so many a second, or none, either way. */
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';

interface Squeeze {
  readonly afterBytes: number;
  /** 0: nothing more is taken. */
  readonly bytesPerSecond: number;
}

/** Opens a place of this machine that leads to an address, with its id; `up` is the way there, `down` the way back. */
export async function throughCable(
  address: string,
  { up, down }: { up?: Squeeze; down?: Squeeze },
  signal: AbortSignal,
): Promise<string> {
  const [, , host, , port, , id] = address.split('/');
  const server = createServer((near) => {
    const far = createConnection({ host: host!, port: Number(port) });
    for (const socket of [near, far]) socket.on('error', () => {});
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
    signal.addEventListener('abort', () => near.destroy(), { once: true });
    carry(near, far, up);
    carry(far, near, down);
  });
  signal.addEventListener('abort', () => server.close(), { once: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}/p2p/${id}`;
}

function carry(from: Socket, to: Socket, squeeze: Squeeze | undefined): void {
  if (!squeeze) {
    from.pipe(to);
    return;
  }
  let left = squeeze.afterBytes;
  from.on('data', (bytes: Buffer) => {
    to.write(bytes.subarray(0, left));
    const rest = bytes.subarray(left);
    left = Math.max(0, left - bytes.length);
    if (left > 0) return;
    from.pause();
    if (squeeze.bytesPerSecond > 0) trickle(from, to, rest, squeeze.bytesPerSecond);
  });
}

/** Ten times a second a little; the rest stays where it is. */
function trickle(from: Socket, to: Socket, begun: Buffer, bytesPerSecond: number): void {
  let waiting = begun;
  let due = 0;
  const timer = setInterval(() => {
    due += bytesPerSecond / 10;
    if (waiting.length < due) waiting = Buffer.concat([waiting, from.read() ?? Buffer.alloc(0)]);
    const some = Math.min(waiting.length, Math.floor(due));
    to.write(waiting.subarray(0, some));
    waiting = waiting.subarray(some);
    due -= some;
  }, 100);
  from.on('close', () => clearInterval(timer));
}
