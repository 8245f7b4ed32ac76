/**
 * @file A merged model as ONNX, laid out as Optimum and transformers.js have it: onnx/model.onnx with its weights in
 * onnx/model.onnx_data, config.json and tokenizer.
 */
import { join } from 'node:path';
import { makeFolder, writeFileAtomic, writePiecesAtomic } from '../atomic.ts';
import { openCheckpoint } from '../checkpoint/checkpoint.ts';
import { placesOf } from '../checkpoint/weights.ts';
import { encodeOnnx } from '../graph/onnx.ts';
import { portableGraph } from '../model/portable.ts';
import { configText } from './config.ts';
import { mergedPieces } from './merged.ts';
import { type Subject, storing, writeCard } from './subject.ts';
import { writeTokenizer } from './tokenizer.ts';

const [MODEL, WEIGHTS] = ['model.onnx', 'model.onnx_data'];

/** Writes it in float32, config.json last, which makes the folder a model. Throws a UserError on a full or read-only disk. */
export async function writeOnnx(folder: string, subject: Subject): Promise<void> {
  const checkpoint = openCheckpoint(subject.base.path);
  const { architecture } = checkpoint;
  const places = placesOf(architecture);
  const inner = join(folder, 'onnx');
  await storing(folder, async () => {
    makeFolder(inner);
    await writePiecesAtomic(join(inner, WEIGHTS), async (file) => {
      for (const [name, { offset }] of places) {
        let at = offset;
        for (const piece of mergedPieces({ checkpoint, subject }, name)) {
          await file.write(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength), 0, piece.byteLength, at);
          at += piece.byteLength;
        }
      }
    });
    await writeFileAtomic(join(inner, MODEL), encodeOnnx(portableGraph({ architecture, places }), WEIGHTS));
    await writeTokenizer(folder, checkpoint.path);
    await writeCard(folder, subject, 'onnx');
    // Where transformers.js learns that the weights lie beside the graph.
    const config = configText(checkpoint, 'f32', { 'transformers.js_config': { use_external_data_format: true } });
    await writeFileAtomic(join(folder, 'config.json'), config);
  });
}
