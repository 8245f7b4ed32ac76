/** @file Finds the device to compute on: the one asked for, or of those here the first that starts and can do what is wanted. */
import { messageOf, UserError } from '../errors.ts';
import { createGraph, type Graph, input, output } from '../graph/graph.ts';
import { encodeOnnx } from '../graph/onnx.ts';
import * as op from '../graph/ops.ts';
import type { Compute } from '../model/program.ts';
import type { Device } from './device.ts';
import { listDevices, missingFor, openSession, reasonIn } from './session.ts';

export interface Started<Session> {
  readonly session: Session;
  readonly device: Exclude<Device, 'auto'>;
  /** A line for the user, where `auto` had to fall back or what is asked is of no use. */
  readonly notice: string | null;
}

/** Opens the first session. `auto` tries what onnxruntime lists, ending with the CPU. Throws a UserError where none can start. */
export async function startDevice<Session>(
  { device: asked, compute }: { device: Device; compute?: Compute },
  open: (device: Exclude<Device, 'auto'>) => Promise<Session>,
): Promise<Started<Session>> {
  const candidates = asked === 'auto' ? listDevices() : [asked];
  const failures: string[] = [];
  for (const device of candidates) {
    try {
      const missing = missingFor(device, asked !== 'auto');
      if (missing) throw new Error(missing);
      if (compute === 'f16' && device !== 'cpu') await tryHalves(device);
      const session = await open(device);
      const notices = [
        ...(failures.length > 0 ? [`computing on the ${device.toUpperCase()} (${failures.join('; ')})`] : []),
        ...(compute === 'f16' && device === 'cpu' ? ['--compute f16 makes the CPU no faster'] : []),
      ];
      return { session, device, notice: notices.join('; ') || null };
    } catch (error) {
      if (error instanceof UserError) throw error;
      failures.push(`${device}: ${reasonIn(error)}`);
    }
  }
  throw new UserError(
    'usage',
    `--device ${asked}: ${failures.join('; ')}; wanted one of auto, ${listDevices().join(', ')}`,
  );
}

/** Multiplies in float16, which not every device can. Throws what onnxruntime throws. */
async function tryHalves(device: Exclude<Device, 'auto'>): Promise<void> {
  const session = await openSession(encodeOnnx(halvesGraph()), device);
  try {
    const { y } = await session.run({ x: { data: Float32Array.of(1, 2, 3, 4), dims: [2, 2] } }, ['y']);
    if (y?.[3] !== 22) throw new Error(`float16 products are wrong: ${y}`);
  } catch (error) {
    throw /requires f16/.test(messageOf(error)) ? new Error('it does not compute in float16') : error;
  } finally {
    await session.release();
  }
}

/** x x in float16, for x [2, 2]. */
function halvesGraph(): Graph {
  const g = createGraph();
  const x = op.Cast(g, input(g, 'x', 'float32', [2, 2]), 'float16');
  output(g, 'y', op.Cast(g, op.MatMul(g, x, x), 'float32'));
  return g;
}
