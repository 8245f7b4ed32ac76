/** @file `lorikeet service`: a systemd unit that keeps a peer at work on a machine, with no more rights than it needs. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { makeFolder } from '../atomic.ts';
import { cacheFolder } from '../checkpoint/environment.ts';
import { cacheRoot } from '../checkpoint/places.ts';
import { EXIT, messageOf, UserError } from '../errors.ts';
import { configFolder } from '../program/layers.ts';
import type { Flags } from './flags.ts';

/** Commands that a service can be of. */
const SERVED = ['up', 'join'];

/** Writes the unit and begins it; with `--print` only prints it. */
export function install(words: readonly string[], flags: Flags): void {
  const unit = unitOf(words, flags);
  if (flags.print) return void process.stdout.write(unit);
  const path = placeOf(flags);
  if (existsSync(path) && readFileSync(path, 'utf8') !== unit)
    throw new UserError('usage', `${path}: is another service; --name names one of your own, or uninstall it first`);
  try {
    makeFolder(resolve(path, '..'));
    writeFileSync(path, unit, { mode: 0o600 }); // an invite may stand in it
  } catch (error) {
    throw new UserError('storage', `${path}: cannot be written (${messageOf(error)}); as root, or with --user`);
  }
  console.error(`${path}: written`);
  const isBegun = systemctl(flags, 'daemon-reload') && systemctl(flags, 'enable', '--now', unitName(flags));
  console.log(path);
  if (!isBegun)
    throw new UserError(
      'storage',
      `systemctl could not begin it; once it can: systemctl ${scope(flags)}enable --now ${unitName(flags)}`,
    );
}

export function uninstall(flags: Flags): void {
  const path = placeOf(flags);
  if (!existsSync(path))
    throw new UserError('usage', `${path}: no such service; --name names it, --user is for one of your own`);
  systemctl(flags, 'disable', '--now', unitName(flags));
  rmSync(path);
  systemctl(flags, 'daemon-reload');
  console.error(`${path}: removed; states and adapters are kept`);
}

function unitName(flags: Flags): string {
  const name = String(flags.name);
  if (!/^[\w.-]{1,100}$/.test(name))
    throw new UserError('usage', `--name: got ${JSON.stringify(name)}; wanted letters, digits, dots and dashes`);
  return `${name}.service`;
}

function placeOf(flags: Flags): string {
  const own = join(configFolder(), 'systemd', 'user');
  return join(flags.user ? own : '/etc/systemd/system', unitName(flags));
}

function scope(flags: Flags): string {
  return flags.user ? '--user ' : '';
}

/** Whether it went well; systemctl says itself what did not. */
function systemctl(flags: Flags, ...words: string[]): boolean {
  const { status } = spawnSync('systemctl', [...(flags.user ? ['--user'] : []), ...words], { stdio: ['ignore', 2, 2] });
  return status === 0;
}

/** Throws a UserError where the command is none that a service can be of. */
function unitOf(words: readonly string[], flags: Flags): string {
  const command = words.length === 0 ? ['up', '--config', 'run.yaml'] : [...words];
  if (!SERVED.includes(command[0]!))
    throw new UserError(
      'usage',
      `service install: got ${JSON.stringify(command[0])}; wanted ${SERVED.join(' or ')} with its flags after --`,
    );
  if (command.includes('--detach'))
    throw new UserError('usage', 'service install: --detach: left out; a service is in the background by itself');
  const folder = process.cwd();
  const program = [process.execPath, realpathSync(process.argv[1]!), ...command].map(quoted).join(' ');
  const user = process.env.SUDO_USER || userInfo().username;
  // A manager of one user cannot change what its processes see of the disk; what follows needs no such right.
  const anywhere = [
    ...['NoNewPrivileges=yes', 'UMask=0077', 'LockPersonality=yes', 'RestrictRealtime=yes', 'RestrictSUIDSGID=yes'],
    ...[
      'RestrictNamespaces=yes',
      'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
      'SystemCallArchitectures=native',
    ],
  ];
  const ofSystem = [
    ...[`User=${user}`, 'ProtectSystem=strict', 'ProtectHome=read-only', 'PrivateTmp=yes', 'ProtectClock=yes'],
    ...['ProtectControlGroups=yes', 'ProtectHostname=yes', 'ProtectKernelLogs=yes', 'ProtectKernelModules=yes'],
    ...['ProtectKernelTunables=yes', 'ProtectProc=invisible', 'CapabilityBoundingSet=', 'AmbientCapabilities='],
    `ReadWritePaths=${[folder, ...[cacheRoot(), cacheFolder()].map((path) => `-${path}`)].map(quoted).join(' ')}`,
  ];
  return [
    ...['[Unit]', `Description=Lorikeet, a peer that fine-tunes with others (${command[0]} in ${escaped(folder)})`],
    ...['Wants=network-online.target', 'After=network-online.target', '', '[Service]', 'Type=exec'],
    ...[`WorkingDirectory=${escaped(folder)}`, `ExecStart=${program}`, 'Restart=on-failure', 'RestartSec=10'],
    // A mistake, or a run that is over, is not mended by another start.
    `RestartPreventExitStatus=${EXIT.usage} ${EXIT.incompatible}`,
    `SuccessExitStatus=${EXIT.interrupted}`,
    ...['TimeoutStopSec=90', ...anywhere, ...(flags.user ? [] : ofSystem)],
    ...['', '[Install]', `WantedBy=${flags.user ? 'default' : 'multi-user'}.target`, ''],
  ].join('\n');
}

/** As units want text in which nothing is to be filled in. */
function escaped(text: string): string {
  return text.replaceAll('%', '%%');
}

/** As ExecStart= wants a word (systemd.service(5)). */
function quoted(word: string): string {
  const plain = escaped(word).replaceAll('$', '$$$$');
  return /^[\w@%+=:,./-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, (sign) => `\\${sign}`)}"`;
}
