/** @file A model as Hugging Face keeps it: a folder with config.json, weights in safetensors, and a tokenizer. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { readJsonObject } from '../formats/json.ts';
import { openSafetensors, openShards, readElements, type SafetensorsFile } from '../formats/safetensors.ts';
import type { Architecture } from '../model/architecture.ts';
import { makeArchitecture } from '../model/config.ts';
import type { Checkpoint, StoredTensor } from './stored.ts';
import { checkTokenizer } from './vocabulary.ts';

const [SINGLE, INDEX] = ['model.safetensors', 'model.safetensors.index.json'];
const TOKENIZER = ['tokenizer.json', 'tokenizer_config.json'];

/** Opens it. Throws a UserError on anything missing, misnamed or misshapen. */
export function openFolder(path: string): Checkpoint {
  const config = readConfig(path);
  const architecture = makeArchitecture(join(path, 'config.json'), config);
  checkTokenizer(path, architecture.vocabulary);
  const file = openWeights(path);
  const names = tensorNames(file, architecture);
  const stored = (name: string): StoredTensor => storedTensor(file, name);
  return {
    path,
    architecture,
    config,
    tensors: new Map([...names].map(([name, found]) => [name, stored(found)])),
    tied: architecture.tied.flatMap(([copy, original]) =>
      file.tensors.has(copy) && names.has(original) ? [{ copy, tensor: stored(copy), original }] : [],
    ),
    files: [...weightFiles(path), 'config.json', ...TOKENIZER].map((name) => join(path, name)),
  };
}

function readConfig(folder: string): Record<string, unknown> {
  const path = join(folder, 'config.json');
  if (existsSync(path)) return readJsonObject(path, 'the configuration of a Hugging Face model');
  throw new UserError(
    'usage',
    `${folder}: not a model folder, it has no config.json; wanted a Hugging Face folder with config.json, model.safetensors and tokenizer.json`,
  );
}

function storedTensor(file: SafetensorsFile, name: string): StoredTensor {
  const { shape } = file.tensors.get(name)!;
  const columns = shape.at(-1) ?? 1;
  return {
    shape,
    readRows: (out, rows) => {
      const { begin, end } = rows ?? { begin: 0, end: shape.slice(0, -1).reduce((a, b) => a * b, 1) };
      readElements(file, name, out.subarray(0, (end - begin) * columns), begin * columns);
    },
  };
}

function isSharded(folder: string): boolean {
  return !existsSync(join(folder, SINGLE)) && existsSync(join(folder, INDEX));
}

/** The weights of a folder, in one file or several. Throws a UserError that names those of another kind. */
function openWeights(folder: string): SafetensorsFile {
  if (isSharded(folder)) return openShards(folder, INDEX);
  if (existsSync(join(folder, SINGLE))) return openSafetensors(join(folder, SINGLE));
  const others = readdirSync(folder).sort();
  const gguf = others.find((name) => /\.gguf$/i.test(name));
  const found =
    gguf ??
    [/^(pytorch|tf|flax)_model/, /\.(pt|pth|onnx|safetensors)$/]
      .map((kind) => others.find((name) => kind.test(name)))
      .find((name) => name !== undefined);
  throw new UserError(
    'usage',
    `${folder}: ${found ? `its weights are in ${found}` : 'holds no weights'}; wanted ${SINGLE} (save_pretrained of transformers writes it)${gguf ? ', or the path of the GGUF file itself' : ''}`,
  );
}

/** The files of the weights, the index first where there is one; it was read before. */
function weightFiles(folder: string): string[] {
  if (!isSharded(folder)) return [SINGLE];
  const { weight_map: map } = JSON.parse(readFileSync(join(folder, INDEX), 'utf8'));
  return [INDEX, ...[...new Set(Object.values(map as Record<string, string>))].sort()];
}

/**
 * Where each parameter is in the file; older checkpoints call a LayerNorm's weight and bias gamma and beta. Throws a UserError
 * on one that is missing or misshapen, and on a tensor that belongs to another model.
 */
function tensorNames(file: SafetensorsFile, architecture: Architecture): Map<string, string> {
  const names = parameterNames(file, architecture);
  const known = new Set([...names.values(), ...architecture.tied.map(([copy]) => copy)]);
  const other = [...file.tensors.keys()].find((name) => !known.has(name) && !architecture.unread.test(name));
  if (other === undefined) return names;
  throw new UserError(
    'usage',
    `${file.path}: holds tensor ${other}, which the model of config.json has not; wanted both files of one model`,
  );
}

function parameterNames(file: SafetensorsFile, architecture: Architecture): Map<string, string> {
  return new Map(
    architecture.parameters.map(({ name, shape }) => {
      const older = name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta');
      const found = [name, older].find((n) => file.tensors.has(n));
      const entry = file.tensors.get(found ?? '');
      if (found && String(entry?.shape) === String(shape)) return [name, found];
      throw new UserError(
        'usage',
        `${file.path}: tensor ${name} is ${entry ? `[${entry.shape}]` : 'missing'}; wanted [${shape}]`,
      );
    }),
  );
}
