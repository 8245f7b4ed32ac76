/**
 * @file Machines for a red team on one computer: network namespaces on one cable, each with an address of its own, where the
 * system lets us; else everybody is on loopback.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

export interface Place {
  readonly host: string;
  /** The command that runs another there. */
  readonly by: readonly string[];
}

export interface Places {
  /** The honest, then the newcomer, then who attacks. */
  readonly all: readonly Place[];
  /** More hosts of who attacks. */
  readonly decoys: readonly string[];
  /** Pulls the cable of the place of that number out, or puts it in again; false where there is none to pull. */
  cut(place: number, isCut: boolean): boolean;
  close(): void;
}

const INSIDE = 'LORIKEET_REDTEAM_INSIDE';
const DECOYS = 300;

/** Whether this process may make namespaces, having been started for that. */
export const isInside = process.env[INSIDE] === '1';

/** Whether the system lets us make namespaces of networks. */
export function hasNamespaces(): boolean {
  return spawnSync('unshare', ['-rn', 'ip', 'link', 'set', 'lo', 'up']).status === 0;
}

/** Runs this very process once more, as root of namespaces of its own; resolves to its exit code. */
export async function enterNamespace(): Promise<number> {
  const [node, ...words] = [process.execPath, ...process.argv.slice(1)];
  const child = spawn('unshare', ['-rn', node, ...words], { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  // A terminal tells both; what is told this one alone is passed on.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      if (name !== 'SIGINT' || !process.stdin.isTTY) child.kill(name);
    });
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

/** Makes so many places, the last of which has the decoys. */
export async function openPlaces(count: number): Promise<Places> {
  if (!isInside) {
    const decoys = Array.from({ length: DECOYS }, (_, i) => `127.1.${Math.floor(i / 250)}.${(i % 250) + 1}`);
    return {
      all: Array.from({ length: count }, () => ({ host: '127.0.0.1', by: [] })),
      decoys,
      cut: () => false,
      close: () => {},
    };
  }
  const keepers: ChildProcess[] = [];
  sh('ip link set lo up; ip link add name hub type bridge; ip link set hub up');
  for (let n = 1; n <= count; n++) {
    // It ends with this process, whose end of the pipe then closes.
    const keeper = spawn('unshare', ['-n', 'sh', '-c', 'echo here; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
    keepers.push(keeper);
    await once(keeper.stdout, 'data');
    const inside = `nsenter -t ${keeper.pid} -n ip`;
    sh(`ip link add cable${n} type veth peer name card netns ${keeper.pid}
      ip link set cable${n} master hub up
      ${inside} link set lo up
      ${inside} addr add 10.77.0.${n}/16 dev card
      ${inside} link set card up`);
  }
  const decoys = Array.from({ length: DECOYS }, (_, i) => `10.77.${1 + Math.floor(i / 250)}.${(i % 250) + 1}`);
  const last = `nsenter -t ${keepers.at(-1)!.pid} -n ip -batch -`;
  sh(last, decoys.map((host) => `addr add ${host}/16 dev card`).join('\n'));
  return {
    all: keepers.map(({ pid }, i) => ({ host: `10.77.0.${i + 1}`, by: ['nsenter', '-t', String(pid), '-n'] })),
    decoys,
    cut: (place, isCut) => {
      sh(`ip link set cable${place + 1} ${isCut ? 'down' : 'up'}`);
      return true;
    },
    close: () => {
      for (const keeper of keepers) keeper.kill('SIGKILL');
    },
  };
}

function sh(line: string, input = ''): void {
  const { status, stderr } = spawnSync('sh', ['-ec', line], { encoding: 'utf8', input });
  if (status !== 0) throw new Error(`${line}: ${stderr}`);
}
