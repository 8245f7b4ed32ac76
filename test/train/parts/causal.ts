/** @file A tiny causal model for tests: a Llama of the fixtures with a token a character, marks of chats among them. */
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixture } from '../../support.ts';

const MARKS = ['<pad>', '<s>', '</s>', '<|turn|>'];
const BYTES = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
/** As byte-level vocabularies write a space and a line's end. */
const written = (character: string): string => (character === ' ' ? '\u0120' : character);

const TEMPLATE =
  "{% for m in messages %}<|turn|>{{ m['role'] }}\n{{ m['content'] | trim }}</s>\n{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}";

/** Puts the model into a folder and gives the folder. */
export function tinyCausal(folder: string): string {
  for (const name of ['config.json', 'model.safetensors']) cpSync(join(fixture('llama-lm'), name), join(folder, name));
  const tokens = [...MARKS, ...BYTES.map(written), '\u010a'];
  const tokenizer = {
    version: '1.0',
    added_tokens: MARKS.map((content, id) => ({ id, content, special: true, lstrip: false, rstrip: false })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges: [] },
  };
  const config = { bos_token: '<s>', eos_token: '</s>', pad_token: '<pad>', chat_template: TEMPLATE };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  return folder;
}
