/** @file Every form in which an adapter is written for other tools. */
import { writeSubject } from './adapter.ts';
import type { Format } from './export/card.ts';
import { writeGgufAdapter, writeMergedGguf } from './export/gguf.ts';
import { writeMerged } from './export/merged.ts';
import { writeOnnx } from './export/onnx.ts';
import { openFolderFor, type Subject } from './export/subject.ts';
import type { Width } from './formats/narrow.ts';

type Write = (out: string, subject: Subject, options: { width: Width }) => Promise<void>;

/** What each format is said to be once it is written; `widths` where the numbers' width can be chosen. */
export const FORMATS: Readonly<Record<Format, { said: string; write: Write; widths?: true }>> = {
  peft: { said: "in PEFT's format", write: writeSubject },
  merged: { said: 'merged into a copy of its base, for transformers', write: writeMerged, widths: true },
  onnx: { said: 'merged into its base as ONNX, for transformers.js and onnxruntime', write: writeOnnx },
  gguf: { said: "adapter.gguf for llama.cpp, to be used with the base's GGUF file", write: writeGgufAdapter },
  'merged-gguf': {
    said: "model.gguf for llama.cpp and Ollama, merged into a copy of the base's",
    write: writeMergedGguf,
    widths: true,
  },
};

/** Writes it to a folder. Throws a UserError where that cannot be written, or holds what would be taken for a part of it. */
export async function exportSubject(
  folder: string,
  subject: Subject,
  { format, width }: { format: Format; width: Width },
): Promise<void> {
  openFolderFor(folder, format);
  await FORMATS[format].write(folder, subject, { width });
}
