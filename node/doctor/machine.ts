/** @file What a machine offers a peer: versions, memory, disks, addresses, clock, cards. Nothing is asked over the network. */
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { arch, cpus, freemem, networkInterfaces, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../errors.ts';
import { packageVersion } from '../package.ts';

export interface Machine {
  readonly versions: Readonly<Record<'lorikeet' | 'node' | 'onnxruntime' | 'platform', string>>;
  readonly cpu: { readonly name: string; readonly cores: number };
  /** Bytes. `limit`: what a container allows, or null; `usable`: what a process may still take. */
  readonly memory: { readonly total: number; readonly limit: number | null; readonly usable: number };
  readonly disks: readonly Disk[];
  readonly network: Network;
  readonly clock: { readonly now: string; readonly isSane: boolean };
  /** What NVIDIA's driver says of itself; null: there is none. */
  readonly nvidia: string | null;
}

export interface Disk {
  readonly use: 'cache' | 'here';
  readonly path: string;
  readonly free: number | null;
  /** Why it cannot be written; null: it can. */
  readonly problem: string | null;
}

export interface Network {
  /** Why a peer cannot listen and be called on this machine; null: it can. */
  readonly problem: string | null;
  /** Addresses beyond loopback, with who could reach them if nothing stands between. */
  readonly addresses: readonly { readonly address: string; readonly reach: Reach }[];
}

export type Reach = 'anybody' | 'this network';

/** Looks at everything. `cache` is the folder that weights and graphs are kept in. */
export async function examine(cache: string): Promise<Machine> {
  return {
    versions: {
      lorikeet: packageVersion(),
      node: process.versions.node,
      onnxruntime: runtimeVersion(),
      platform: `${platform()} ${release()} ${arch()}`,
    },
    cpu: { name: cpus()[0]?.model.trim() ?? '', cores: cpus().length },
    memory: memory(),
    disks: [disk('cache', cache), disk('here', process.cwd())],
    network: { problem: await listenProblem(), addresses: addressesOf(networkInterfaces()) },
    clock: clockAt(Date.now()),
    nvidia: nvidiaDriver(),
  };
}

function runtimeVersion(): string {
  const path = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

function memory(): Machine['memory'] {
  const total = totalmem();
  const constrained = process.constrainedMemory?.() ?? 0;
  const limit = constrained > 0 && constrained < total ? constrained : null;
  // Newer than the oldest Node that is supported; the older ones know only of the machine.
  const available = (process as { availableMemory?: () => number }).availableMemory?.() ?? freemem();
  return { total, limit, usable: Math.min(available, limit ?? total) };
}

function disk(use: Disk['use'], path: string): Disk {
  const probe = join(path, `.lorikeet-doctor-${process.pid}`);
  let problem: string | null = null;
  try {
    if (use === 'cache') mkdirSync(path, { recursive: true });
    writeFileSync(probe, '');
    rmSync(probe);
  } catch (error) {
    problem = messageOf(error);
  }
  try {
    const { bavail, bsize } = statfsSync(path);
    return { use, path, free: bavail * bsize, problem };
  } catch (error) {
    return { use, path, free: null, problem: problem ?? messageOf(error) };
  }
}

/** Listens on every address and calls itself. */
function listenProblem(): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    const end = (problem: string | null): void => {
      server.close();
      resolve(problem);
    };
    server.on('error', (error) => end(`cannot listen on a TCP port: ${messageOf(error)}`));
    server.listen(0, '0.0.0.0', () => {
      const { port } = server.address() as { port: number };
      const socket = connect({ port, host: '127.0.0.1', timeout: 5000 });
      socket.on('connect', () => end(null));
      socket.on('error', (error) => end(`cannot call its own TCP port: ${messageOf(error)}`));
      socket.on('timeout', () => {
        socket.destroy();
        end('cannot call its own TCP port: no answer in 5 s');
      });
      socket.on('close', () => socket.destroy());
    });
  });
}

type Interfaces = ReturnType<typeof networkInterfaces>;

/** The addresses others may reach. Those of one cable only (169.254, fe80) are of no use to them. */
export function addressesOf(interfaces: Interfaces): Network['addresses'] {
  const all = Object.values(interfaces).flatMap((each) => each ?? []);
  return all
    .filter(({ internal, address }) => !internal && !/^(169\.254\.|fe[89ab])/i.test(address))
    .map(({ address }) => ({ address, reach: isPrivate(address) ? 'this network' : 'anybody' }));
}

/** RFC 1918, RFC 6598 (shared by a provider's customers), RFC 4193. */
function isPrivate(address: string): boolean {
  return /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|f[cd])/i.test(address);
}

/** Whether the clock can be right: after this was written, and not in another age. */
export function clockAt(nowMs: number): Machine['clock'] {
  const [earliest, latest] = [Date.UTC(2026, 0), Date.UTC(2100, 0)];
  return { now: new Date(nowMs).toISOString(), isSane: nowMs >= earliest && nowMs <= latest };
}

function nvidiaDriver(): string | null {
  const path = '/proc/driver/nvidia/version';
  if (!existsSync(path)) return existsSync('/dev/nvidiactl') ? 'a driver of unknown version' : null;
  return (
    /Kernel Module\s+(?:for \S+\s+)?([\d.]+)/.exec(readFileSync(path, 'utf8'))?.[1] ?? 'a driver of unknown version'
  );
}
