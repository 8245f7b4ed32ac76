/** @file `lorikeet inspect`: what a model is and what it takes to train it, before anything of it is downloaded whole. */
import { CODEC_NAMES, CODECS, type CodecName } from '../../protocol/codec.ts';
import { SETTINGS } from '../../protocol/settings.ts';
import { type Preview, previewModel } from '../checkpoint/preview.ts';
import { table } from '../display.ts';
import { type Footprint, footprint } from '../engine/footprint.ts';
import { bytesText, counted, percent } from '../figures.ts';
import type { Architecture } from '../model/architecture.ts';
import { loraTensors, targetedLinears } from '../model/lora.ts';
import { elementCount } from '../model/tensors.ts';
import { type Flags, integerFlag, interruptSignal } from './flags.ts';

/** What `--json` prints; sizes in bytes. */
interface Inspected extends Omit<Preview, 'architecture'> {
  readonly isCausal: boolean;
  readonly layers: number;
  readonly vocabulary: number;
  readonly maxTokens: number;
  readonly adapter: {
    readonly rank: number;
    readonly targets: string;
    readonly linears: number;
    readonly parameters: number;
    /** One adapter as it is sent to each neighbour of a round, by codec. */
    readonly bytes: Readonly<Record<CodecName, number>>;
    readonly neighbours: number;
  };
  readonly training: Footprint & { readonly batch: number; readonly tokens: number };
}

export async function inspect(name: string, flags: Flags): Promise<void> {
  const rank = integerFlag(flags, 'rank', 1, 256);
  const tokens = integerFlag(flags, 'tokens', 2, 1 << 20);
  const batch = integerFlag(flags, 'batch', 1, 4096);
  const neighbours = integerFlag(flags, 'degree', 1, 64);
  const { signal, dispose } = interruptSignal(() => {});
  try {
    const { architecture, ...preview } = await previewModel(name, { signal });
    const targets = String(flags.targets ?? usualTargets(architecture));
    const linears = targetedLinears(architecture, targets);
    const lora = { rank, alpha: SETTINGS.alpha.default, targets };
    const parameters = elementCount(loraTensors(linears, lora));
    const found: Inspected = {
      ...preview,
      isCausal: architecture.isCausal,
      layers: layersOf(architecture),
      vocabulary: architecture.vocabulary,
      maxTokens: architecture.maxTokens,
      adapter: {
        rank,
        targets,
        linears: linears.length,
        parameters,
        bytes: Object.fromEntries(CODEC_NAMES.map((codec) => [codec, CODECS[codec].size(parameters)])) as Record<
          CodecName,
          number
        >,
        neighbours,
      },
      training: { batch, tokens, ...footprint(architecture, { type: 'lora', lora }, { batch, tokens }) },
    };
    console.log(flags.json ? JSON.stringify(found) : linesOf(found).join('\n'));
  } finally {
    dispose();
  }
}

/** The layers that queries and values come from, by the names an architecture gives them. */
function usualTargets({ linears }: Architecture): string {
  const ends = new Set(linears.map(({ module }) => module.split('.').at(-1)!));
  const pairs = ['query,value', 'q_proj,v_proj', 'q_lin,v_lin', 'c_attn', 'Wqkv'];
  return pairs.find((pair) => pair.split(',').every((end) => ends.has(end))) ?? 'all';
}

function layersOf({ linears }: Architecture): number {
  return new Set(linears.flatMap(({ module }) => /\.(\d+)\./.exec(module)?.[1] ?? [])).size;
}

function linesOf(found: Inspected): string[] {
  const { adapter, training, commit, types } = found;
  const { bytes, neighbours } = adapter;
  const total = Object.values(types).reduce((a, b) => a + b, 0);
  const kinds = Object.entries(types)
    .sort((a, b) => b[1] - a[1])
    .map(([type, n]) => (n === total ? type : `${type} ${percent(n / total)}`));
  const each = CODEC_NAMES.map((codec) => `${codec} ${bytesText(bytes[codec])}`).join(', ');
  const all = CODEC_NAMES.map((codec) => `${codec} ${bytesText(neighbours * bytes[codec])}`).join(', ');
  const rows = [
    ['model', `${found.name}${commit === null ? '' : `, commit ${commit.slice(0, 12)}`}`],
    [
      'architecture',
      `${found.kind}, ${found.isCausal ? 'causal' : 'masked'}, ${counted(found.layers, 'layer')}, ${found.vocabulary} words, ${found.maxTokens} positions`,
    ],
    ['parameters', `${millions(found.parameters)}, stored in ${bytesText(found.storedBytes)} (${kinds.join(', ')})`],
    [
      'adapter',
      `rank ${adapter.rank} on ${adapter.targets}: ${counted(adapter.linears, 'layer')}, ${millions(adapter.parameters)} numbers (${percent(adapter.parameters / found.parameters)})`,
    ],
    ['a round', `to each neighbour ${each}; to ${neighbours} of them ${all}`],
    [
      'memory',
      `about ${bytesText(training.total)} to train on ${training.batch} x ${training.tokens} tokens: weights ${bytesText(training.weights)}, layers ${bytesText(training.layers)}${training.recompute ? ' (computed again for their gradients)' : ''}, adapter and optimiser ${bytesText(training.state)}, the program ${bytesText(training.program)}`,
    ],
    ['disk', `${bytesText(training.disk)} in the cache for the weights as they are computed with`],
    ...(found.fetchedBytes > 0 ? [['fetched', `${bytesText(found.fetchedBytes)}, headers and configuration`]] : []),
  ];
  return table(rows, 'left');
}

function millions(count: number): string {
  return count < 1e6 ? String(count) : count < 1e9 ? `${(count / 1e6).toFixed(1)} M` : `${(count / 1e9).toFixed(2)} B`;
}
