/**
 * @file Compares the model, its gradients and its optimiser with golden cases from PyTorch and PEFT.
 * `npm run -s conformance -- DIR...` prints one JSON line a case; exits 1 above tolerance.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { deviceFlags, type Flags } from '../node/commands/flags.ts';
import { DEVICES, type Device } from '../node/engine/device.ts';
import { UserError } from '../node/errors.ts';
import { type Arguments, readArguments, refuse, type Usage } from './arguments.ts';
import { classCase } from './conformance/classes.ts';
import type { Report } from './conformance/compare.ts';
import { tokenCase } from './conformance/tokens.ts';

/** Runs one case folder on a device. */
export function runCase(folder: string, device: Device = 'cpu'): Promise<Report> {
  const { objective } = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as { objective?: string };
  return objective === 'next-token' ? tokenCase(folder, device) : classCase(folder, device);
}

const USAGE: Usage = {
  name: 'conformance',
  about: 'Compares the model, its gradients and its optimiser with cases from PyTorch and PEFT; a JSON line a case.',
  positionals: 'DIR...',
  options: { device: { value: 'name', about: `where it is computed: ${DEVICES.join(' | ')} (default: cpu)` } },
  examples: ['test/fixtures/bert-qv test/fixtures/bert-all', 'test/fixtures/llama-qv --device webgpu'],
};

async function main({ positionals: folders, values }: Arguments): Promise<void> {
  const { device } = deviceFlags({ device: 'cpu', threads: '1', ...values } as Flags);
  if (folders.length === 0)
    throw new UserError('usage', 'no case folder given; wanted DIR... such as test/fixtures/bert-qv');
  const missing = folders.find((folder) => !existsSync(join(folder, 'case.json')));
  if (missing !== undefined) throw new UserError('usage', `${missing}: holds no case.json; wanted folders of cases`);
  for (const folder of folders) {
    const report = await runCase(folder, device);
    console.log(JSON.stringify(report));
    if (!report.ok) process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  main(readArguments(USAGE)).catch((error) => refuse(USAGE.name, error));
}
