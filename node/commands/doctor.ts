/** @file `lorikeet doctor`: what this machine has to train with, each back end tried, a verdict and the next command. */
import { dirname } from 'node:path';
import { openBase } from '../checkpoint/base.ts';
import { createDisplay } from '../display.ts';
import { examine } from '../doctor/machine.ts';
import { diagnose, reportLines } from '../doctor/report.ts';
import { tryDevices } from '../doctor/tries.ts';
import { listDevices, missingFor } from '../engine/session.ts';
import { EXIT } from '../errors.ts';
import type { Flags } from './flags.ts';

/** Exits with 0 where training can run, with that of `incompatible` where it cannot. */
export async function doctor(flags: Flags): Promise<void> {
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
