/**
 * @file A step of a masked and of a causal model on WebGPU agrees with the CPU, and what costs time stays on the device. Needs
 * a card, or SwiftShader, a Vulkan driver that computes on the CPU: VK_ICD_FILENAMES=.../vk_swiftshader_icd.json.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { tryDevices } from '../../node/doctor/tries.ts';
import { missingFor } from '../../node/engine/session.ts';
import { fixture } from '../support.ts';

/** Shapes, words and angles; small beside what is multiplied. */
const ON_THE_CPU = ['Cast', 'Concat', 'Cos', 'Equal', 'Gather', 'Shape', 'Sin', 'Size', 'Slice', 'Unsqueeze'];
const missing = missingFor('webgpu', true);

for (const name of ['bert-qv', 'llama-lm'])
  test(`${name} takes a step on WebGPU as on the CPU`, async () => {
    if (missing !== null) return console.log(`skipped: ${name} on WebGPU: ${missing}`);
    const [, webgpu] = await tryDevices(fixture(name), ['cpu', 'webgpu']);
    if (/No supported adapters/.test(webgpu!.problem ?? ''))
      return console.log(`skipped: ${name} on WebGPU: its Vulkan driver finds no device`);
    assert.is(webgpu!.state, 'works', JSON.stringify(webgpu));
    assert.ok(webgpu!.error! < 1e-5, `error ${webgpu!.error}`);
    const others = Object.keys(webgpu!.fallen).filter((op) => !ON_THE_CPU.includes(op));
    assert.equal(others, [], `on the CPU: ${JSON.stringify(webgpu!.fallen)}`);
    const count = Object.values(webgpu!.fallen).reduce((sum, n) => sum + n, 0);
    assert.ok(count < webgpu!.nodes! / 10, `${count} of ${webgpu!.nodes} nodes on the CPU`);
  });

test.run();
