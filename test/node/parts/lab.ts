/**
 * @file Machines for tests of networks, in namespaces of this process's own (`unshare -rn`): a cable that everybody public is on,
 * routers that masquerade what is behind them and let nothing in, and machines at either.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

export interface Machine {
  readonly host: string;
  /** The command that runs another on it. */
  readonly by: readonly string[];
  /** Runs `ip` or another command on it, to its end. */
  sh(line: string): void;
}

export function sh(line: string): void {
  const { status, stderr } = spawnSync('sh', ['-ec', line], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${line}: ${stderr}`);
}

let count = 0;

/** A machine with no cable yet. */
async function bare(): Promise<Omit<Machine, 'host'> & { pid: number }> {
  const keeper = spawn('unshare', ['-n', 'sh', '-c', 'ip link set lo up; echo here; exec sleep 3600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.on('exit', () => keeper.kill('SIGKILL'));
  await once(keeper.stdout!, 'data');
  const by = ['nsenter', '-t', String(keeper.pid), '-n'];
  return { pid: keeper.pid!, by, sh: (line) => sh(`${by.join(' ')} sh -ec '${line}'`) };
}

/** Lays a cable from a machine to a switch of the machine with that process number, or of this one. */
function plug(machine: { pid: number }, card: string, bridge: string, at: string): void {
  const cable = `cable${++count}`;
  sh(`ip link add ${cable} type veth peer name ${card} netns ${machine.pid}
    ip link set ${cable} master ${bridge} up
    nsenter -t ${machine.pid} -n ip addr add ${at} dev ${card}
    nsenter -t ${machine.pid} -n ip link set ${card} up`);
}

/** A switch. */
function bridge(name: string): void {
  sh(`ip link add name ${name} type bridge mcast_snooping 0; ip link set ${name} up`);
}

/** The cable that everybody public is on: 10.77.0.0/16. */
export function openLab(): void {
  sh('ip link set lo up');
  bridge('public');
}

/** A machine that everybody reaches, at 10.77.0.N. */
export async function publicMachine(n: number): Promise<Machine> {
  const machine = await bare();
  const host = `10.77.0.${n}`;
  plug(machine, 'card', 'public', `${host}/16`);
  machine.sh('ip route add default dev card');
  return { ...machine, host };
}

/** A router at 10.77.1.N that hides 192.168.N.0/24, with so many machines behind it at 192.168.N.2 and on. */
export async function hiddenMachines(n: number, machines: number): Promise<Machine[]> {
  const router = await bare();
  const lan = `lan${n}`;
  bridge(lan);
  plug(router, 'wan', 'public', `10.77.1.${n}/16`);
  plug(router, 'lan', lan, `192.168.${n}.1/24`);
  router.sh(`echo 1 > /proc/sys/net/ipv4/ip_forward
    iptables -t nat -A POSTROUTING -o wan -j MASQUERADE
    iptables -P FORWARD DROP
    iptables -A FORWARD -i lan -o wan -j ACCEPT
    iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`);
  const behind: Machine[] = [];
  for (let i = 0; i < machines; i++) {
    const machine = await bare();
    const host = `192.168.${n}.${i + 2}`;
    plug(machine, 'card', lan, `${host}/24`);
    machine.sh(`ip route add default via 192.168.${n}.1`);
    behind.push({ ...machine, host });
  }
  return behind;
}

/** Cuts a machine's cable, or mends it. */
export function setCable({ sh: run }: Machine, isUp: boolean): void {
  run(isUp ? 'iptables -F' : 'iptables -A INPUT ! -i lo -j DROP; iptables -A OUTPUT ! -o lo -j DROP');
}
