/** @file The golden cases from PyTorch and PEFT; and that a wrong case is seen to be wrong. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCase } from '../../scripts/conformance.ts';
import { fixture } from '../support.ts';

/** One of each architecture, and every linear layer where layers differ in kind. */
const CASES = [
  ...['bert-qv', 'bert-all', 'roberta-qv', 'distilbert-qv', 'modernbert-qv', 'modernbert-all', 'gpt2-qv', 'gpt2-all'],
  ...['llama-qv', 'llama3-qv', 'mistral-window-qv', 'qwen2-qv', 'qwen3-qv', 'gemma3-qv', 'gemma3-all'],
];

for (const name of CASES) {
  test(`${name} agrees with PyTorch and PEFT: logits, losses, gradients, AdamW, adapter files`, async () => {
    const report = await runCase(fixture(name));
    assert.ok(report.ok, JSON.stringify(report));
    assert.ok(report.errors.gradient! < 1e-3 && report.errors.adamwLosses! < 1e-4);
    assert.is('fullLoss' in report.errors, name.endsWith('-qv'));
  });
}

for (const name of ['llama-lm', 'gpt2-lm']) {
  test(`${name} agrees with PyTorch and PEFT: losses of next tokens, gradients, AdamW; a text a row, and packed`, async () => {
    const report = await runCase(fixture(name));
    assert.ok(report.ok, JSON.stringify(report));
    assert.ok(report.errors['packed adamwLosses']! < 1e-4 && report.errors['alone adamwLosses']! < 1e-4);
  });
}

test('a case with another expectation fails', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lorikeet-test-'));
  cpSync(fixture('bert-qv'), folder, { recursive: true });
  const path = join(folder, 'case.json');
  const spec = JSON.parse(readFileSync(path, 'utf8'));
  spec.adamw.lr *= 1.1;
  writeFileSync(path, JSON.stringify(spec));
  const report = await runCase(folder);
  assert.not.ok(report.ok);
  assert.ok(report.errors.adamwLosses! > 1e-4);
  assert.ok(report.errors.logitsAdapter! < 1e-4);
  rmSync(folder, { recursive: true });
});

test.run();
