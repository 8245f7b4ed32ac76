/** @file `lorikeet doctor`: what this machine has to train with, each back end tried, a verdict and the next command. */
import { networkInterfaces } from 'node:os';
import { dirname } from 'node:path';
import { portIn } from '../addresses.ts';
import { openBase } from '../checkpoint/base.ts';
import { createDisplay } from '../display.ts';
import { addressesOf, examine } from '../doctor/machine.ts';
import { judgeNetwork } from '../doctor/network.ts';
import { diagnose, reportLines } from '../doctor/report.ts';
import { tryDevices } from '../doctor/tries.ts';
import { listDevices, missingFor } from '../engine/session.ts';
import { EXIT } from '../errors.ts';
import { askingBy, parseInvite } from '../invite.ts';
import { readAnnounced } from '../network/announced.ts';
import { askBack } from '../network/visits.ts';
import { type Flags, integerFlag } from './flags.ts';

/** Says how others reach a peer here, asking who gave an invite where one is given. */
async function examineNetwork(flags: Flags): Promise<void> {
  const port = integerFlag(flags, 'port', 0, 65535);
  const announced = typeof flags.announce === 'string' ? await readAnnounced(flags.announce, port) : [];
  const addresses = addressesOf(networkInterfaces());
  const invite = typeof flags.network === 'string' ? parseInvite(flags.network) : null;
  const tried = portIn(announced[0] ?? '');
  const called = invite && (await askBack({ ...askingBy(invite), listen: `/ip4/0.0.0.0/tcp/${port}`, port: tried }));
  const verdict = judgeNetwork(addresses, called, tried || port);
  const lines = [verdict.sentence, ...(verdict.advice === '' ? [] : [`what to do: ${verdict.advice}`])];
  console.log(flags.json ? JSON.stringify({ ...verdict, addresses, called }) : lines.join('\n'));
}

/** Exits with 0 where training can run, with that of `incompatible` where it cannot. */
export async function doctor(flags: Flags): Promise<void> {
  if (flags.network) return examineNetwork(flags);
  const name = String(flags.base);
  const base = await openBase(name);
  const display = createDisplay(process.stderr, Boolean(flags.json));
  const listed = listDevices();
  const [machine, devices] = [
    await examine(dirname(base.cache)),
    await tryDevices(name, listed, { onDone: ({ device }) => display.live([`tried ${device}`]) }),
  ];
  display.live([]);
  display.close();
  const auto = listed.filter((device) => missingFor(device, false) === null);
  const found = diagnose(name, machine, devices, auto);
  console.log(flags.json ? JSON.stringify(found) : reportLines(found).join('\n'));
  if (!found.canTrain) process.exitCode = EXIT.incompatible;
}
